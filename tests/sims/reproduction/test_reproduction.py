"""The reproduction: printed figures beside what comes out, with the verdicts they deserve."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from eglb.cli import cli
from eglb.foundation.console import as_text
from eglb.foundation.errors import InputError
from eglb.planning.storage import folder as results_folder
from eglb.sims.reproduction import reproduction
from eglb.sims.reproduction.published import FIGURES, FULL, PARTIAL, SOURCES, PublishedFigure
from eglb.sims.reproduction.reproduction import BY_AGENTS, CENTRAL, Reproduction, reproduce, runs

SPELLING = {"Belguim": "Belgium"}  # as the reference has it


@dataclass(frozen=True)
class Rerun:
    """The one run for all tests here, by ``eglb reproduce``: what came out, was announced, printed, kept."""

    found: Reproduction
    started: list[str]
    out: str
    err: str
    folder: Path


@pytest.fixture(scope="module")
def rerun(data_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Rerun:
    made: list[Reproduction] = []
    started: list[str] = []

    def watched(on_start: Callable[[str], None], **options: Any) -> Reproduction:
        def begin(name: str) -> None:
            started.append(name)
            on_start(name)

        made.append(reproduce(on_start=begin, **options))
        return made[0]

    folder = tmp_path_factory.mktemp("reproduced") / "out"
    words = ["reproduce", "--data", str(data_directory), "--json", "--out", str(folder)]
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(StringIO()) as out,
        redirect_stderr(StringIO()) as err,
    ):
        patch.setattr(reproduction, "reproduce", watched)
        assert cli.main(words, standalone_mode=False) == 0
    return Rerun(made[0], started, out.getvalue(), err.getvalue(), folder)


@pytest.fixture(scope="module")
def found(rerun: Rerun) -> Reproduction:
    return rerun.found


def test_every_printed_figure_is_a_number_with_its_source() -> None:
    assert len({(f.source, f.case, f.policy, f.quantity) for f in FIGURES}) == len(FIGURES)
    for figure in FIGURES:
        assert figure.source in SOURCES and figure.case in (FULL, PARTIAL) and figure.value > 0


@pytest.mark.parametrize(
    ("text", "obtained", "verdict"),
    [
        ("1.27", 1.2694, "same"),
        ("1.27", 1.2751, "close"),
        ("1.27", 1.30, "differs"),
        ("1818.734618500509", 1818.734618472563, "same"),
        ("1818.734618500509", 1818.75, "close"),
        ("1818.734618500509", 1705.2, "differs"),
    ],
)
def test_a_verdict_goes_by_the_printed_digits(text: str, obtained: float, verdict: str) -> None:
    figure = PublishedFigure("notebook", FULL, CENTRAL, "water max", text)
    assert reproduction._verdict(figure, obtained) == verdict
    private = PublishedFigure("v2", FULL, CENTRAL, "water max", text, why="its data are not public")
    assert reproduction._verdict(private, obtained) == ("same" if verdict == "same" else "not public")


@pytest.mark.slow
def test_all_figures_of_the_notebook_come_out_centrally_and_by_agents(found: Reproduction) -> None:
    mine = [cell for cell in found.cells if cell.figure.source == "notebook"]
    assert len(mine) == sum(f.source == "notebook" for f in FIGURES) + 7
    assert {cell.verdict for cell in mine} == {"same"}
    assert {cell.obtained_by for cell in mine} > {CENTRAL, BY_AGENTS}
    assert all(abs(cell.difference) < 1e-7 for cell in mine)


def test_whatever_does_not_come_out_is_not_public(found: Reproduction) -> None:
    for cell in found.cells:
        assert (cell.verdict == "not public") == bool(cell.figure.why), cell
    assert found.count("differs") == found.count("close") == 0


def test_rows_are_the_known_answers(found: Reproduction, paper10_reference: dict[str, Any]) -> None:
    for case, key in ((FULL, "full"), (PARTIAL, "partial")):
        for row in found.rows[case]:
            known = paper10_reference.get(row.name.removesuffix(", agents"), {})
            expected = known.get(key) or known.get("full")
            if expected is None:
                assert row.name in reproduction.ONLINE
                continue
            tolerance = 1e-9 if row.gap is None else 1e-6
            assert row.energy_cost_usd == pytest.approx(expected["energy_cost_usd"], rel=tolerance)
            assert row.objective == pytest.approx(expected["objective_60_1500"], rel=tolerance)
            for kind, name in (("water", "water_m3"), ("carbon", "carbon_t")):
                by_region = {SPELLING.get(r, r): v for r, v in expected[name]["by_region"].items()}
                assert row.footprints[kind].by_region == pytest.approx(by_region, rel=10 * tolerance)


def test_agents_certify_what_the_central_solver_finds(found: Reproduction) -> None:
    for case in (FULL, PARTIAL):
        central, agents = found.row(case, CENTRAL), found.row(case, BY_AGENTS)
        assert agents.gap is not None and agents.gap <= reproduction.AGENTS_GAP and agents.rounds
        assert agents.objective == pytest.approx(central.objective, rel=1e-7)
        online = found.row(case, "eGLB")
        assert online.objective > central.objective


def test_experiments_are_there(found: Reproduction) -> None:
    gaps = {(row.policy, row.forecast, row.estimates): row.above_best for row in found.partial_future}
    nothing_foretold = [(policy, "none", "exact") for policy in reproduction.ONLINE.values()]
    assert list(gaps) == [*nothing_foretold, *reproduction.CONDITIONS]
    assert all(0.0 < gap < 0.1 for gap in gaps.values())
    assert gaps["soft", "none", "exact"] < gaps["dmd", "none", "exact"]
    own = found.sensitivity.own
    assert own is not None
    assert own.energy_usd == pytest.approx(found.row(PARTIAL, CENTRAL).energy_cost_usd, rel=1e-5)
    assert found.alone.keys() == {"water", "carbon"}


def test_it_reads_well_in_terminals_and_as_json(found: Reproduction) -> None:
    for width in (80, 120):
        text = as_text(found, width)
        assert max(map(len, text.splitlines())) <= width and "…" not in text
        assert all(cell.figure.policy in text for cell in found.cells)
        assert "carbon columns of" in text and "equity costs +15.3 % energy" in text
    answer = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert sum(answer["verdicts"].values()) == len(answer["cells"])
    assert answer["cases"][PARTIAL]["cost_of_equity"] == pytest.approx(0.1526, abs=1e-4)


def test_the_command_gives_one_object_and_one_folder(rerun: Rerun) -> None:
    assert "1 of " in rerun.err and len(rerun.started) == runs()
    answer = json.loads(rerun.out)
    assert answer["verdicts"]["differs"] == answer["verdicts"]["close"] == 0
    names = [row["name"] for row in answer["cases"]["paper10"]["policies"]]
    assert names[:7] == [
        *("GLB-Nearest", "GLB-Cost", "GLB-Carbon", "GLB-Water", "GLB-C2", "GLB-All"),
        "eGLB-Off",
    ]
    assert names[7:] == ["eGLB-Off, agents", "eGLB", "soft"]
    stored = results_folder.read(rerun.folder)
    assert {key: stored.run[key] for key in answer} == answer
    assert stored.plan is not None and (rerun.folder / "sweep.svg").exists()
    assert results_folder.read_scenario(rerun.folder).name == "paper10-partial"


def test_without_the_series_it_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        reproduce(data=tmp_path)
    assert any("paper10_2022.csv: no such file" in problem for problem in caught.value.problems)
    assert "eglb data fetch paper10" in caught.value.problems[-1]
