"""A results folder: what a command found, on disk, whole or absent.

    run.json          what ``--json`` prints, and the equity prices
    plan.parquet      time_utc, gateway, region, mw: one row per pair and slot that carries load
    unmet.parquet     time_utc, gateway, mw: demand left out, if the regions that are left cannot meet all
    prices.parquet    time_utc, gateway, usd_per_mw_slot: the demand prices behind the lower bound
    equity_prices.parquet  plan, footprint, region, usd_per_unit: further ones to start from (`dual`)
    jobs.parquet      time_utc, job, region, mw: with jobs, one row per pair and slot in which work is done
    job_prices.parquet  time_utc, job, usd_per_mw_slot: the prices of work behind the lower bound
    unmet_jobs.parquet  job, mwh: work left out, if the regions that are left cannot do all
    rounds.jsonl      one line per exchange with the agents: the best plan and bound so far;
                      of a simulation, one per slot: where the run stands
    convergence.svg   and .png, after a comparison: certified gap against rounds and seconds
    rows.jsonl        and robustness.svg, .png, of a robustness study: one line per run
    course.svg        and .png, after a simulation: objective, bound and footprints over time
    sweep.svg         and .png, after a sweep of the equity weights; its plan is the one at the own weights
    report.html       the report for people, made of the rest (`eglb.report`); not of a robustness study
    scenario/         the whole fleet, a scenario folder of Parquet tables

A plan that some regions had no part in is of the scenario without them and without the demand left out
(`read_problem`). Scenario, plan and prices are enough to recompute every number in ``run.json``
(`eglb.planning.audit`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.foundation.staging import write_json, write_rows, writing
from eglb.planning.solution import Solution
from eglb.planning.storage.job_tables import read_unmet, write_job_tables
from eglb.planning.storage.parquet_columns import name_column, time_column
from eglb.scenarios.scenario import Scenario

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A results folder as read back: `run` is run.json, the tables are None where the folder has none."""

    run: dict[str, Any]
    plan: pa.Table | None
    jobs: pa.Table | None
    job_prices: pa.Table | None
    unmet: pa.Table | None
    unmet_jobs: pa.Table | None
    prices: pa.Table | None
    equity_prices: pa.Table | None
    rounds: tuple[dict[str, Any], ...]


def write_solution(solution: Solution, folder: Path, further: Mapping[str, Any] | None = None) -> None:
    """Fill `folder` with a solution: run.json, with what is `further` known, plan.parquet, prices.parquet and
    rounds.jsonl.
    """
    scenario = solution.scenario
    told = {**solution.to_dict(), "equity_price": equity_price_by_region(solution), **(further or {})}
    with writing(folder):
        write_json(folder / "run.json", told)
        write_tables(solution, folder)
        write_rows(folder / "rounds.jsonl", [asdict(record) for record in solution.trace])
        write_scenario(scenario, folder)


def write_scenario(scenario: Scenario, folder: Path) -> None:
    from eglb.scenarios.folder.writing import save

    save(scenario, folder / "scenario", suffix=".parquet")


def equity_price_by_region(solution: Solution) -> dict[str, dict[str, float]]:
    """By kind and region, USD per unit."""
    scenario = solution.scenario
    return {
        kind.name: dict(zip(scenario.regions, row.tolist(), strict=True))
        for kind, row in zip(scenario.footprints, solution.equity_price, strict=True)
    }


def write_plan(scenario: Scenario, route: Array, folder: Path) -> None:
    """plan.parquet, in time order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    slot, edge = np.nonzero(route.T)
    plan = pa.table(
        {
            "time_utc": time_column(scenario, slot),
            "gateway": name_column(scenario.gateways, scenario.reach_gateway[edge]),
            "region": name_column(scenario.regions, scenario.reach_region[edge]),
            "mw": pa.array(np.ascontiguousarray(route[edge, slot])),
        }
    )
    pq.write_table(plan, folder / "plan.parquet")


def write_tables(solution: Solution, folder: Path) -> None:
    """plan.parquet and the prices, in time order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    scenario = solution.scenario
    write_plan(scenario, solution.route, folder)
    gateways, slots = solution.demand_price.shape
    prices = pa.table(
        {
            "time_utc": time_column(scenario, np.repeat(np.arange(slots), gateways)),
            "gateway": name_column(scenario.gateways, np.tile(np.arange(gateways), slots)),
            "usd_per_mw_slot": pa.array(np.ascontiguousarray(solution.demand_price.T).reshape(-1)),
        }
    )
    pq.write_table(prices, folder / "prices.parquet")
    if solution.unmet is not None:
        gateway, slot = np.nonzero(solution.unmet)
        unmet = pa.table(
            {
                "time_utc": time_column(scenario, slot),
                "gateway": name_column(scenario.gateways, gateway),
                "mw": pa.array(solution.unmet[gateway, slot]),
            }
        )
        pq.write_table(unmet, folder / "unmet.parquet")
    write_job_tables(scenario, folder, solution.work, solution.work_price, solution.unmet_mwh)
    if len(solution.equity_prices):
        plan_index, kind, region = (index.ravel() for index in np.indices(solution.equity_prices.shape))
        remembered = pa.table(
            {
                "plan": pa.array(plan_index),
                "footprint": name_column(tuple(k.name for k in scenario.footprints), kind),
                "region": name_column(scenario.regions, region),
                "usd_per_unit": pa.array(solution.equity_prices.ravel()),
            }
        )
        pq.write_table(remembered, folder / "equity_prices.parquet")


def read_scenario(folder: Path) -> Scenario:
    """The fleet that a results folder is about.

    Raises
    ------
    InputError : `folder` holds no scenario.
    """
    from eglb.scenarios.folder import reading

    if not (Path(folder) / "scenario").is_dir():
        raise InputError(f"{folder}: not a results folder with its scenario; solve again with --out")
    return reading.read(Path(folder) / "scenario")


def read_problem(folder: Path, stored: StoredRun) -> Scenario:
    """What the plan of a results folder is for: its fleet, without who had no part, the demand left out and
    the jobs that were refused.

    Raises
    ------
    InputError : `folder` holds no scenario, or one of other regions or gateways.
    """
    scenario = read_scenario(folder)
    if refused := stored.run.get("jobs", {}).get("refused_names"):
        scenario = scenario.without_jobs(refused)
    if not (out := stored.run.get("members", {}).get("out")):
        return scenario
    unmet = np.zeros_like(scenario.demand)
    told = stored.unmet.to_pylist() if stored.unmet is not None else []
    slot = {time: t for t, time in enumerate(scenario.times.astype("datetime64[s]").tolist())}
    try:
        for row in told:
            at = scenario.gateways.index(row["gateway"]), slot[row["time_utc"].replace(tzinfo=None)]
            unmet[at] = row["mw"]
        [scenario.regions.index(name) for name in out]
    except (KeyError, ValueError):
        raise InputError(f"{folder}: run.json or unmet.parquet is not of the fleet in scenario/") from None
    return scenario.without(out, unmet, read_unmet(scenario, stored.unmet_jobs, folder))


def read(folder: Path) -> StoredRun:
    """A results folder, as a command left it.

    Raises
    ------
    InputError : `folder` holds no readable results.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Path(folder)
    tables: dict[str, pa.Table | None] = {}
    try:
        run = json.loads((folder / "run.json").read_text("utf-8"))
        for name in ("plan", "jobs", "job_prices", "unmet", "unmet_jobs", "prices", "equity_prices"):
            path = folder / f"{name}.parquet"
            tables[name] = pq.read_table(path) if path.exists() else None
        lines = (folder / "rounds.jsonl").read_text("utf-8").splitlines()
        rounds = tuple(json.loads(line) for line in lines)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{folder}: not a results folder: {error}") from None
    return StoredRun(run=run, rounds=rounds, **tables)
