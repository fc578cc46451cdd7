"""Jobs in scenario folders and names: every problem at once, bit for bit, and as a part of a name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.job_mixes import draw_scenario_with_jobs, jobs_of

import eglb as api
from eglb.foundation.errors import InfeasibleError, InputError
from eglb.planning.solve import ALGORITHMS
from eglb.scenarios.catalog import load
from eglb.scenarios.folder import reading
from eglb.scenarios.folder.writing import example, save
from eglb.scenarios.jobs import Jobs

HEAD = "job,energy_mwh,release_utc,deadline_utc,max_mw,min_mw,regions,home_region,checkpoint_cost_mwh,data_gb"
GOOD = "train,60,2024-07-01T06:00Z,2024-07-02T18:00Z,5,1,oregon|texas,oregon,0.4,800"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(example(), tmp_path / "fleet")
    return tmp_path / "fleet"


def with_rows(folder: Path, *rows: str, head: str = HEAD) -> Path:
    (folder / "jobs.csv").write_text("\n".join([head, *rows]) + "\n")
    return folder


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        reading.read(folder)
    return [line.removeprefix(f"{folder}/") for line in caught.value.problems]


def test_a_table_of_jobs_is_read(folder: Path) -> None:
    head = "job,energy_mwh,gpu_hours,release_utc,deadline_utc,max_mw,regions"
    rows = (
        "a,12,,2024-07-01T06:00Z,2024-07-01T18:00Z,5,",
        "b,,8000,01.07.2024 06:00,02.07.2024 18:00,5,dry|texas",
    )
    with_rows(folder, *rows, head=head)
    regions = (folder / "regions.csv").read_text().splitlines()
    tagged = [regions[0] + ",tags", regions[1] + ",wet|west", regions[2] + ",", regions[3] + ",dry"]
    (folder / "regions.csv").write_text("\n".join(tagged) + "\n")
    settings = (folder / "scenario.toml").read_text()
    (folder / "scenario.toml").write_text(settings + "[jobs]\ngpu_kw = 1.25\n")
    jobs = jobs_of(reading.read(folder))
    assert jobs.names == ("a", "b")
    np.testing.assert_allclose(jobs.energy_mwh, [12.0, 10.0])
    assert jobs.release.tolist()[0] == jobs.release.tolist()[1]
    np.testing.assert_array_equal(jobs.pair_region[jobs.pair_job == 0], [0, 1, 2])
    np.testing.assert_array_equal(jobs.pair_region[jobs.pair_job == 1], [1, 2])


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("seed", range(6))
def test_saving_and_reading_gives_the_same_jobs(seed: int, suffix: str, tmp_path: Path) -> None:
    s = draw_scenario_with_jobs(seed, gains=bool(seed % 2))
    s = replace(s, jobs=replace(jobs_of(s), data_gb=np.linspace(0.0, 1.0 / 3.0, len(jobs_of(s)))))
    save(s, tmp_path / "fleet", suffix=suffix)
    again = jobs_of(reading.read(tmp_path / "fleet"))
    assert again.names == jobs_of(s).names
    for field in fields(Jobs)[1:]:
        np.testing.assert_array_equal(getattr(again, field.name), getattr(jobs_of(s), field.name))


def test_every_problem_is_said_at_once(folder: Path) -> None:
    with_rows(
        folder,
        GOOD,
        GOOD,
        "none,,2024-07-01T06:00Z,2024-07-02T18:00Z,5,,oregan,ohio,,",
        "odd,-1,2024-07-01T06:00Z,yesterday,0,-2,texas,,x,",
        head=HEAD.replace("data_gb", "data_tb"),
    )
    found = problems_of(folder)
    for said in (
        "jobs.csv: column data_tb: unknown; did you mean data_gb?",
        "jobs.csv: column job, row 3: 'train' is already in row 2",
        "jobs.csv: column energy_mwh, row 4: empty cell",
        "jobs.csv: column energy_mwh, row 5: -1.0 must be above 0",
        "jobs.csv: column deadline_utc, row 5: 'yesterday' is not a time; write UTC like 2024-07-01T13:00Z",
        "jobs.csv: column max_mw, row 5: 0.0 must be above 0",
        "jobs.csv: column min_mw, row 5: -2.0 is negative",
        "jobs.csv: column checkpoint_cost_mwh, row 5: 'x' is not a number",
        "jobs.csv: column regions, row 4: 'oregan' is neither a region nor a tag of regions.csv; did "
        "you mean oregon?",
        "jobs.csv: column home_region, row 4: 'ohio' is not in regions.csv",
    ):
        assert said in found
        found.remove(said)
    assert found == []


def test_what_no_cell_says_alone_is_said_with_its_row(folder: Path) -> None:
    with_rows(
        folder,
        GOOD,
        "long,60,2024-07-01T06:00Z,2024-07-01T18:00Z,4,,,,,",
        "late,60,2024-07-01T06:00Z,2024-07-09T18:00Z,4,,,,,",
        "both,60,2024-07-01T06:00Z,2024-07-02T18:00Z,5,6,,,2,",
    )
    found = problems_of(folder)
    assert found[0] == "jobs.csv: row 3: job long: 60 MWh need more than 12 h at max_mw 4"
    assert found[1].startswith("jobs.csv: row 4: job late: release 2024-07-01T06:00:00Z to deadline")
    assert found[2] == "jobs.csv: row 5: job both: min_mw 6 must lie between 0 and max_mw 5"
    assert found[3] == "jobs.csv: row 5: job both: checkpoint_cost_mwh needs a home_region to move from"
    assert len(found) == 4


def test_energy_is_said_once_and_in_known_units(folder: Path) -> None:
    head = "job,energy_mwh,gpu_hours,release_utc,deadline_utc,max_mw"
    row = "2024-07-01T06:00Z,2024-07-02T18:00Z,5"
    with_rows(folder, f"a,1,2,{row}", f"b,,,{row}", f"c,,9,{row}", head=head)
    assert problems_of(folder) == [
        "jobs.csv: column energy_mwh or gpu_hours, row 2: both are given; keep one",
        "jobs.csv: column energy_mwh or gpu_hours, row 3: empty cell",
        "jobs.csv: column gpu_hours, row 2: scenario.toml must say [jobs] gpu_kw",
    ]
    with_rows(folder, f"a,{row}", head="job,release_utc,deadline_utc,max_mw")
    assert problems_of(folder) == ["jobs.csv: column energy_mwh or gpu_hours is missing"]


HUGE = "huge,2000,2024-07-01T06:00Z,2024-07-02T18:00Z,500,,oregon,,,"
SAID = r"job huge: [\d.]+ of its 2000 MWh cannot be done between .* beside demand and the other jobs"


def test_what_cannot_be_done_beside_demand_is_read_and_refused_by_whoever_plans_everything(
    folder: Path,
) -> None:
    fleet = reading.read(with_rows(folder, GOOD.replace(",0.4,", ",,"), HUGE))
    started: list[str] = []
    for algorithm in ALGORITHMS:
        with pytest.raises(InfeasibleError, match=SAID):
            api.solve(fleet, algorithm, on_round=lambda record: started.append(str(record)))
    for verb in (api.compare, api.sweep, api.coordinate):
        with pytest.raises(InfeasibleError, match=SAID):
            verb(fleet, on_round=lambda record: started.append(str(record)))
    assert not started
    # Moving it takes further energy.
    with_rows(folder, HUGE.replace("oregon,,,", "oregon,texas,9,"))
    for algorithm in ("admm", "central"):
        with pytest.raises(InfeasibleError, match=SAID):
            api.solve(reading.read(folder), algorithm)


def test_commands_tell_it_and_simulate_refuses_that_job_alone(eglb: Callable[..., Any], folder: Path) -> None:
    with_rows(folder, GOOD, HUGE)
    ran = eglb("solve", folder, "--json")
    assert ran.code == 3 and re.search(SAID, ran.err), ran.err
    assert ran.json()["status"] == "infeasible"
    ran = eglb("scenario", "check", folder)
    assert ran.code == 3 and re.search(SAID, ran.err), ran.err
    assert "job train" not in ran.err
    assert ran.err.endswith("eglb simulate would admit what can be done, and refuse the rest\n")
    ran = eglb("simulate", folder, "--json")
    assert ran.code == 0, ran.err
    told = ran.json()
    assert told["jobs"]["refused_names"] == ["huge"] and told["jobs"]["admitted"] == 1
    assert told["jobs"]["energy_mwh"] == pytest.approx(60.0)
    admitted = api.solve(api.load(with_rows(folder, GOOD)), "central")
    assert told["offline_lower_bound"] == pytest.approx(admitted.audit.lower_bound, rel=1e-6)


def test_a_sweep_where_moving_takes_energy(folder: Path) -> None:
    curve = api.sweep(api.load(with_rows(folder, GOOD)), factors=(0.0, 1.0))
    assert [point.solution.status for point in curve.points] == ["converged", "converged"]


def test_a_part_of_a_name_makes_jobs_of_any_scenario(folder: Path) -> None:
    plain, mixed = load("synthetic:5x48,util=0.6"), load("synthetic:5x48,jobs=0.25:6,util=0.6")
    jobs = jobs_of(mixed)
    energy = float(jobs.energy_mwh.sum())
    assert energy == pytest.approx(0.25 * float(plain.demand.sum()))
    assert energy + float(mixed.demand.sum()) == pytest.approx(float(plain.demand.sum()))
    assert (jobs.deadline - jobs.release).max() == np.timedelta64(6, "h")
    assert mixed.name == f"{plain.name},jobs=0.25:6" and "NSDI 2022" in mixed.sources[-1]
    assert jobs_of(load(f"{folder},jobs=.1")).deadline[0] - jobs.release[0] != np.timedelta64(0, "h")
    drawn = [jobs_of(load("synthetic:5x48,jobs=0.25", seed=seed)).max_mw for seed in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


@pytest.mark.parametrize("part", ["jobs=", "jobs=a", "jobs=0.2:", "jobs=0.2:x", "jobs=0.1,jobs=0.2"])
def test_a_part_that_makes_no_jobs_is_refused(part: str) -> None:
    with pytest.raises(InputError, match=r"is not jobs=SHARE\[:HOURS\]"):
        load(f"synthetic:5x48,{part}")


def test_a_mix_out_of_range_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        load("synthetic:5x48,jobs=1.5")
    with_rows(folder, GOOD)
    with pytest.raises(InputError, match="has jobs of its own"):
        load(f"{folder},jobs=0.2")


def test_the_row_that_a_new_folder_shows_is_one(folder: Path) -> None:
    lines = [line.removeprefix("#   ") for line in (folder / "scenario.toml").read_text().splitlines()]
    head = next(n for n, line in enumerate(lines) if line.startswith("job,"))
    jobs = jobs_of(reading.read(with_rows(folder, lines[head + 1], head=lines[head])))
    assert jobs.names == ("train-7b",) and jobs.home[0] == 0 and jobs.data_gb[0] == 800.0


def test_the_commands_know_jobs(eglb: Callable[..., Any], folder: Path) -> None:
    with_rows(folder, GOOD)
    assert eglb("scenario", "check", folder).out.endswith("2 gateways, 48 slots, 1 jobs\n")
    assert eglb("scenario", "show", folder, "--json").json()["jobs"] == 1
    ran = eglb("solve", folder, "--address", "inprocess", "--json")
    told = ran.json()["jobs"]
    assert ran.code == 0 and told["count"] == 1 and told["unserved_mwh"] == 0.0
    with_rows(folder, GOOD.replace("oregon|texas", "oregon|utah"))
    ran = eglb("scenario", "check", folder)
    assert ran.code == 2 and "column regions, row 2: 'utah' is neither a region nor a tag" in ran.err
