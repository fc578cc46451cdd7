"""Scaling experiments: rows of real runs, what is kept of failures, what is not run twice, and the fits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import eglb
from eglb.foundation.console import as_text
from eglb.foundation.errors import InputError
from eglb.foundation.row_log import RowLog
from eglb.scenarios.synthetic import SyntheticSpec
from eglb.sims.scaling import run, scaling
from eglb.sims.scaling.folder import open_rows, write_scaling
from eglb.sims.scaling.run import Case, blank_row, measure, run_apart
from eglb.sims.scaling.scaling import Scaling, fit_exponent, run_cases

SMALL = SyntheticSpec(3, 4, reach=2)


def row(regions: int, algorithm: str = "admm", **values: Any) -> dict[str, Any]:
    """A made-up row of a run that converged."""
    case = Case(SyntheticSpec(regions, 24, seed=values.pop("seed", 0)), algorithm)
    made = {"gap": 1e-5, "rounds": 100, "seconds": 1.0, "peak_rss_mb": 100.0, "bytes_up": 1, "bytes_down": 1}
    made |= {f"{what}_at_{gap}": made[what] for what in ("rounds", "seconds") for gap in ("1e-2", "1e-4")}
    return blank_row(case, "converged") | made | values


@pytest.fixture(scope="module")
def real() -> dict[str, Any]:
    return run_apart(Case(SMALL, "newton", gap=1e-5))


def test_a_run_apart_gives_the_numbers_of_a_run_here(real: dict[str, Any]) -> None:
    here = measure(Case(SMALL, "newton", gap=1e-5))
    for name in ("status", "gap", "objective", "lower_bound", "rounds", "bytes_up", "bytes_down", "edges"):
        assert real[name] == here[name], name
    solution = eglb.solve(eglb.load("synthetic:3x4,reach=2"), "newton", gap=1e-5, address="inprocess")
    assert real["objective"] == solution.audit.objective and real["gap"] == solution.audit.gap
    assert real["status"] == "converged" and real["gap"] <= 1e-5


def test_a_row_says_what_was_asked_reached_and_used(real: dict[str, Any]) -> None:
    assert (real["regions"], real["slots"], real["reach"], real["seed"]) == (3, 4, 2, 0)
    assert set(real["versions"]) == {"python", "eglb", "numpy", "scipy", "numba", "ray", "highspy"}
    assert real["cpu"] and real["cpu_count"] == os.cpu_count()
    rounds = [real[f"rounds_at_{name}"] for name in ("1e-2", "1e-3", "1e-4")]
    assert rounds == sorted(rounds) and rounds[-1] <= real["rounds"]
    assert real["seconds_at_1e-4"] <= real["seconds"]
    assert real["gap"] <= 1e-6 or real["rounds_at_1e-6"] is None
    assert set(blank_row(Case(SMALL, "admm"), "failed")) == set(real)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_peak_memory_is_that_of_the_run_alone() -> None:
    program = (
        "import sys\n"
        "from eglb.sims.scaling.run import Case, run_apart\n"
        "from eglb.scenarios.synthetic import SyntheticSpec\n"
        "ballast = b'x' * 700_000_000\n"
        "print(run_apart(Case(SyntheticSpec(3, 4, reach=2), 'central'))['peak_rss_mb'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 20 < float(done.stdout) < 500


def test_an_equity_weight_is_scaled() -> None:
    plain, heavy = (measure(Case(SMALL, "central", weight_scale=w)) for w in (1.0, 100.0))
    assert heavy["objective"] > 5 * plain["objective"]


def test_a_crash_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert run_apart(Case(SMALL, "admm"))["status"] == "failed: exit code 1"
    broken = run_cases([Case(SMALL, "admm")])
    assert not broken.converged and "failed" in str(broken)


def test_a_cluster_that_is_not_there_is_a_row() -> None:
    found = run_apart(Case(SMALL, "admm", address="127.0.0.1:1"))
    assert found["status"].startswith("cluster_failed: no Ray cluster at '127.0.0.1:1'")


def test_a_run_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_GRACE_S", 0.0)
    found = run_apart(Case(SyntheticSpec(400), "central", time_limit=0.1))
    assert found["status"] == "killed: no end after 0.2 s" and found["gap"] is None


def test_larger_fleets_are_not_given_to_a_central_solver_that_gave_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[tuple[str, int]] = []

    def pretend(case: Case, on_round: object) -> dict[str, Any]:
        ran.append((case.algorithm, case.fleet.regions))
        late = case.algorithm == "central" and case.fleet.regions >= 20
        return blank_row(case, "time_limit" if late else "converged")

    monkeypatch.setattr(scaling, "run_apart", pretend)
    sizes, seeds = (10, 20, 30), (0, 1)
    cases = [Case(SyntheticSpec(n, 24, seed=s), a) for n in sizes for s in seeds for a in ("admm", "central")]
    found = run_cases(cases)
    assert len(found.rows) == len(cases)
    assert {n for name, n in ran if name == "central"} == {10, 20}
    assert sum(name == "central" for name, n in ran if n == 20) == 2, "every seed of that size runs"
    skipped = [r["status"] for r in found.rows if r["algorithm"] == "central" and r["regions"] == 30]
    assert skipped == ["skipped: central reached its time limit at 20 regions"] * 2
    assert "skipped: central reached its time limit at 20 regions" in str(found)


def test_what_is_known_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    known = row(10, rounds=7)
    monkeypatch.setattr(scaling, "run_apart", lambda case, on_round: row(case.fleet.regions, case.algorithm))
    new: list[dict[str, Any]] = []
    found = run_cases(
        [Case(SyntheticSpec(10, 24), "admm"), Case(SyntheticSpec(10, 24), "admm", gap=1e-6)],
        earlier=json.loads(json.dumps([known])),
        on_row=new.append,
    )
    assert found.rows[0] == json.loads(json.dumps(known))
    assert len(new) == 1, "another gap is another run"


def test_exponents_are_those_of_power_laws() -> None:
    assert fit_exponent([10, 20, 50], [300, 1200, 7500]) == pytest.approx((2.0, 0.0), abs=1e-7)
    rows = [row(n, seed=s, seconds=(n / 10) ** 1.5 * f) for n in (10, 20, 40) for s, f in ((0, 1), (1, 3))]
    rows += [row(80, status="time_limit", seconds=1.0)]
    fits = {fit.quantity: fit for fit in Scaling(tuple(rows)).growth()}
    assert fits["seconds"].exponent == pytest.approx(1.5)
    assert fits["rounds"].exponent == pytest.approx(0.0)
    assert fits["seconds"].sizes == (10, 20, 40), "a size at which a run stopped short proves nothing"
    assert not Scaling(tuple(rows[:4])).growth()


def test_the_table_fits_narrow_terminals() -> None:
    rows = [row(n, name) for n in (10, 1000, 100_000) for name in ("admm", "newton", "central")]
    rows[-1] |= {"status": "time_limit", "gap": 0.2, "seconds": 3600.0}
    text = as_text(Scaling(tuple(rows)), 80)
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    assert "central, 100,000 regions: time limit at gap 2.0e-01" in text
    assert "N^0.00" in text


def test_the_folder_holds_rows_numbers_table_and_pictures(tmp_path: Path) -> None:
    rows = [row(n, name) for n in (10, 20, 40) for name in ("admm", "central")]
    rows.append(blank_row(Case(SyntheticSpec(80, 24), "central"), "failed: so it goes"))
    with open_rows(tmp_path / "out", resume=False) as log:
        for one in rows:
            log.append(one)
        write_scaling(Scaling(tuple(log.rows)), tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"rows.jsonl", "scale.json", "table.txt", "scaling.svg", "scaling.png"}
    answer = json.loads((tmp_path / "out" / "scale.json").read_text())
    assert answer["rows"] == rows and answer["growth"]
    with pytest.raises(InputError, match="--resume"):
        open_rows(tmp_path / "out", resume=False)
    with open_rows(tmp_path / "out", resume=True) as log:
        assert log.rows == rows
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(InputError, match="not empty"):
        open_rows(tmp_path / "other", resume=True)


def test_a_log_survives_a_torn_line_and_refuses_nonsense_and_company(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with RowLog(path) as log:
        log.append({"a": 1})
        with pytest.raises(InputError, match="another run"):
            RowLog(path)
    with path.open("a") as file:
        file.write('{"a": 2, "b"')
    with RowLog(path) as log:
        assert log.rows == [{"a": 1}]
        log.append({"a": 3})
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"a": 1}, {"a": 3}]
    path.write_text('{"a": 1}\nnonsense\n')
    with pytest.raises(InputError, match="line 2 is not a row"):
        RowLog(path)


def test_every_wrong_option_is_said_at_once_and_nothing_runs() -> None:
    with pytest.raises(InputError) as caught:
        eglb.scale([5], algorithms=["simplex"], gap=0, reach=[9], weight_scale=[-1.0])
    text = str(caught.value)
    assert all(part in text for part in ("simplex", "gap", "reach=9", "weight_scale")), text
    with pytest.raises(InputError, match="nowhere"):
        eglb.scale([3], hours=[4], algorithms=["admm"], address="nowhere")
