"""What people read: the terminal's tables, the notebook's HTML, the progress lines."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from eglb.cli.progress import RoundsShown
from eglb.foundation.console import as_text
from eglb.foundation.numbers import amount, bar, byte_count, plain
from eglb.planning.progress import RoundRecord
from eglb.planning.solution import Solution


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(solution: Solution, width: int) -> None:
    lines = as_text(solution, width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) < 30


def test_the_table_says_status_objective_bound_gap_and_the_worst_region(solution: Solution) -> None:
    text = str(solution)
    audit = solution.audit
    for said in (
        "my-fleet",
        "round limit",
        f"{audit.objective:,.2f} USD",
        f"{audit.lower_bound:,.2f} USD",
        f"{audit.gap:.1e}",
        f"{audit.energy_cost_usd:,.2f} USD",
        "2 rounds",
        "12.35 kB up",
    ):
        assert said in text
    for kind, totals in audit.footprints.items():
        worst = max(totals.by_region, key=totals.by_region.__getitem__)
        (row,) = [line for line in text.splitlines() if line.startswith(worst)]
        assert "◀" in row and amount(totals.max, like=totals.total) in row, kind


def test_energy_and_equity_terms_shown_add_up_to_the_objective(solution: Solution) -> None:
    terms = ("Energy cost", "Water equity", "Carbon equity")
    rows = [line for line in str(solution).splitlines() if line.startswith(terms)]
    dollars = [float(row.split(" USD")[0].split()[-1].replace(",", "")) for row in rows]
    assert len(dollars) == 3
    assert sum(dollars) == pytest.approx(solution.audit.objective, abs=0.02)


def test_a_region_weight_moves_the_mark_but_not_the_total(solution: Solution) -> None:
    light = min(solution.audit.footprints["water"].by_region.items(), key=lambda item: item[1])[0]
    weights = [1000.0 if region == light else 1.0 for region in solution.scenario.regions]
    water, carbon = solution.scenario.footprints
    scenario = replace(
        solution.scenario, footprints=(replace(water, region_weight=weights), replace(carbon, weight=0.0))
    )
    (row,) = [
        line for line in str(replace(solution, scenario=scenario)).splitlines() if line.startswith(light)
    ]
    water_totals = solution.audit.footprints["water"]
    assert "◀" in row and amount(water_totals.by_region[light], like=water_totals.total) in row


def test_ascii_terminals_get_ascii(solution: Solution) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(file=stream, width=80).print(solution)
    stream.flush()
    assert b"##" in stream.buffer.getvalue()


def test_a_fleet_without_footprints_has_a_table_too(solution: Solution) -> None:
    bare = replace(
        solution,
        scenario=replace(solution.scenario, footprints=()),
        audit=replace(solution.audit, footprints={}),
    )
    assert "Energy cost" in str(bare) and "max/avg" not in str(bare)
    assert "<table>" in bare._repr_html_()


def test_many_regions_are_cut_to_the_worst(solution: Solution) -> None:
    import numpy as np

    names = tuple(f"region-{n}" for n in range(500))
    totals = {
        kind: replace(t, by_region={name: float(n) for n, name in enumerate(names)}, max=499.0)
        for kind, t in solution.audit.footprints.items()
    }
    kinds = tuple(replace(k, region_weight=np.ones(500)) for k in solution.scenario.footprints)
    text = str(
        replace(
            solution,
            scenario=replace(solution.scenario, regions=names, footprints=kinds),
            audit=replace(solution.audit, footprints=totals),
            load=np.ones((500, 48)),
        )
    )
    assert "region-499" in text and "region-0 " not in text and "484 more regions" in text


def test_html_escapes_names_and_loads_nothing(solution: Solution) -> None:
    html = replace(solution, scenario=replace(solution.scenario, name="<script>x</script>"))._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert "http" not in html and "src=" not in html


@pytest.mark.parametrize("share", [0.0, 0.031, 0.5, 0.999, 1.0, 7.0, -1.0, math.nan])
@pytest.mark.parametrize("width", [0, 1, 10])
def test_bars_are_as_long_as_their_share(share: float, width: int) -> None:
    clipped = min(max(share, 0.0), 1.0) if share == share else 0.0
    drawn = bar(share, width)
    assert len(drawn) <= width
    assert drawn.count("█") == math.floor(round(clipped * width * 8) / 8)
    assert bar(share, width, ascii_only=True) == "#" * round(clipped * width)


def test_byte_counts_and_amounts_read_well() -> None:
    assert [byte_count(n) for n in (0, 999, 1000, 2_500_000, 3 * 10**9)] == [
        "0 B",
        "999 B",
        "1.00 kB",
        "2.50 MB",
        "3.00 GB",
    ]
    assert [amount(x) for x in (0.0, 0.01234, 12.3456, 12_345.6, 1e6, math.nan, -2e5)] == [
        "0.00",
        "0.0123",
        "12.35",
        "12,345.6",
        "1,000,000",
        "-",
        "-200,000",
    ]


def test_numbers_json_cannot_hold_become_null() -> None:
    import numpy as np

    given = {"a": math.inf, "b": (1, np.float64(math.nan)), "c": {"d": np.int64(3), "e": -math.inf}, "f": "x"}
    assert plain(given) == {"a": None, "b": [1, None], "c": {"d": 3, "e": None}, "f": "x"}
    assert type(plain(np.int64(3))) is int


def shown(terminal: bool, quiet: bool, gaps: list[float]) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, color_system=None)
    with RoundsShown(1e-4, quiet=quiet, console=console) as progress:
        progress.begin("admm", "starting 3 agents")
        for number, gap in enumerate(gaps, 1):
            progress.round(RoundRecord(number, 0.1 * number, 100.0, 99.0, gap, 1000 * number, 10))
    return stream.getvalue()


def test_without_a_terminal_a_line_per_power_of_ten_and_the_last() -> None:
    lines = shown(False, False, [math.inf, 0.5, 0.4, 0.3, 0.02, 0.015, 9e-5, 8e-5]).splitlines()
    assert lines[0] == "admm: starting 3 agents"
    assert [line.split()[2] for line in lines[1:]] == ["2", "5", "7", "8"]
    assert "gap 8.0e-05  objective 100.00 USD  bound 99.00 USD" in lines[-1]


def test_quiet_says_nothing() -> None:
    assert shown(False, True, [0.5, 1e-5]) == shown(True, True, [0.5, 1e-5]) == ""


def test_a_terminal_shows_the_round_and_is_left_clean() -> None:
    text = shown(True, False, [0.5, 1e-3, 1e-5])
    assert "\x1b[2K" in text  # the display erased itself
    assert text.endswith("\x1b[?25h") or "\x1b[?25h" in text  # and gave the cursor back


def test_progress_never_leaves_its_bar() -> None:
    console = Console(file=io.StringIO(), width=80)
    for gaps in ([math.inf], [0.0], [1e-9, 0.5], [0.5, 0.7], [1e-4], [0.5, 1e-3], [-1.0]):
        progress = RoundsShown(1e-4, quiet=True, console=console)
        progress.begin("admm")
        for number, gap in enumerate(gaps, 1):
            progress.round(RoundRecord(number, 0.1, 100.0, 99.0, gap, 1, 1))
            assert all(len(line) <= 80 for line in as_text(progress, 80).splitlines())
