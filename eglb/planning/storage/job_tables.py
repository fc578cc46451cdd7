"""The tables of a results folder about jobs: where work is done, at what prices, and what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.planning.storage.parquet_columns import name_column, positions, slot_positions, time_column
from eglb.scenarios.scenario import Scenario

if TYPE_CHECKING:
    import pyarrow as pa


def write_job_tables(
    scenario: Scenario,
    folder: Path,
    work: Array | None,
    work_price: Array | None = None,
    unmet_mwh: Array | None = None,
) -> None:
    """jobs.parquet, job_prices.parquet and unmet_jobs.parquet, in time order, as far as there is something.

    Parameters
    ----------
    work : (P, T) MW of load on the jobs' pairs. work_price : (M, T) USD per MW-slot of work.
    unmet_mwh : (M,).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if (jobs := scenario.jobs) is None:
        return
    if work is not None:
        slot, pair = np.nonzero(work.T)
        done = pa.table(
            {
                "time_utc": time_column(scenario, slot),
                "job": name_column(jobs.names, jobs.pair_job[pair]),
                "region": name_column(scenario.regions, jobs.pair_region[pair]),
                "mw": pa.array(np.ascontiguousarray(work[pair, slot])),
            }
        )
        pq.write_table(done, folder / "jobs.parquet")
    if work_price is not None:
        slot, job = np.nonzero(_within(scenario).T)
        prices = pa.table(
            {
                "time_utc": time_column(scenario, slot),
                "job": name_column(jobs.names, job),
                "usd_per_mw_slot": pa.array(np.ascontiguousarray(work_price[job, slot])),
            }
        )
        pq.write_table(prices, folder / "job_prices.parquet")
    if unmet_mwh is not None:
        left_out = np.flatnonzero(unmet_mwh)
        unmet = pa.table({"job": name_column(jobs.names, left_out), "mwh": pa.array(unmet_mwh[left_out])})
        pq.write_table(unmet, folder / "unmet_jobs.parquet")


def read_work(scenario: Scenario, table: pa.Table | None, folder: Path) -> Array | None:
    """(P, T) MW of load on the jobs' pairs from jobs.parquet; None without jobs.

    Raises
    ------
    InputError : there is no such table, or it is not of these jobs.
    """
    if (jobs := scenario.jobs) is None:
        return None
    names, table = ("time_utc", "job", "region", "mw"), _require(table, "jobs.parquet", folder)
    slot, job, region, mw = _columns(scenario, table, names, "jobs.parquet", folder)
    pairs = jobs.pair_job * len(scenario.regions) + jobs.pair_region  # in ascending order
    wanted = job * len(scenario.regions) + region
    pair = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    if ((slot < 0) | (job < 0) | (region < 0) | (pairs[pair] != wanted)).any():
        raise InputError(f"{folder}: jobs.parquet and scenario/ do not belong together")
    work = np.zeros((len(pairs), scenario.slots))
    work[pair, slot] = mw
    return work


def read_work_price(scenario: Scenario, table: pa.Table | None, folder: Path) -> Array | None:
    """(M, T) USD per MW-slot of work from job_prices.parquet, zero outside windows; None without jobs.

    Raises
    ------
    InputError : there is no such table, or it is not of these jobs.
    """
    if (jobs := scenario.jobs) is None:
        return None
    names, table = ("time_utc", "job", "usd_per_mw_slot"), _require(table, "job_prices.parquet", folder)
    slot, job, usd = _columns(scenario, table, names, "job_prices.parquet", folder)
    if ((slot < 0) | (job < 0)).any():
        raise InputError(f"{folder}: job_prices.parquet and scenario/ do not belong together")
    price = np.zeros((len(jobs), scenario.slots))
    price[job, slot] = usd
    return price


def read_unmet(scenario: Scenario, table: pa.Table | None, folder: Path) -> Array | None:
    """(M,) MWh of work left out from unmet_jobs.parquet; None without it.

    Raises
    ------
    InputError : it is not of these jobs.
    """
    if table is None:
        return None
    if (jobs := scenario.jobs) is None:
        raise InputError(f"{folder}: unmet_jobs.parquet and scenario/ do not belong together")
    job, mwh = _columns(scenario, table, ("job", "mwh"), "unmet_jobs.parquet", folder)
    if (job < 0).any():
        raise InputError(f"{folder}: unmet_jobs.parquet and scenario/ do not belong together")
    unmet = np.zeros(len(jobs))
    unmet[job] = mwh
    return unmet


def _within(scenario: Scenario) -> Array:
    """(M, T): whether a slot is in a job's window."""
    assert scenario.jobs is not None
    first, last = scenario.jobs.slots(scenario.times, scenario.slot_hours)
    slot = np.arange(scenario.slots)
    return np.asarray((slot >= first[:, None]) & (slot < last[:, None]))


def _require(table: pa.Table | None, file: str, folder: Path) -> pa.Table:
    if table is None:
        raise InputError(f"{folder}: its scenario has jobs, but there is no {file}")
    return table


def _columns(
    scenario: Scenario, table: pa.Table, names: tuple[str, ...], file: str, folder: Path
) -> list[Array]:
    """Columns as positions in the scenario or as numbers."""
    assert scenario.jobs is not None
    if missing := [name for name in names if name not in table.column_names]:
        raise InputError(f"{folder / file}: no column {name}" for name in missing)
    among = {"job": scenario.jobs.names, "region": scenario.regions}
    found: list[Array] = []
    for name in names:
        if name == "time_utc":
            found.append(slot_positions(table[name], scenario))
        else:
            found.append(positions(table[name], among[name]) if name in among else table[name].to_numpy())
    return found
