"""What a report is made of: a results folder, read, and its plan's figures recomputed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.planning.audit import FootprintTotals, energy_cost, footprint_totals, region_load
from eglb.planning.storage import folder as results_folder
from eglb.planning.storage.job_tables import read_work
from eglb.planning.storage.parquet_columns import positions, slot_positions
from eglb.scenarios.scenario import FootprintKind, Scenario

if TYPE_CHECKING:
    import pyarrow as pa

CHEAPEST = "GLB-Cost"
# In this order, as far as two seconds go: about 5 microseconds a policy, pair and slot.
WORTH_RUNNING = (CHEAPEST, "GLB-Nearest", "GLB-All", "GLB-C2", "GLB-Carbon", "GLB-Water")
REGIONS, PAIRS_X_SLOTS, CELL_OF_A_JOB = 64, 400_000, 2

COMMANDS = {
    "points": "sweep",
    "solvers": "compare",
    "offline_lower_bound": "simulate",
    "algorithm": "solve",
}


@dataclass(frozen=True)
class Policy:
    """What another policy would have cost: energy in USD, the objective in USD, footprints unweighted."""

    name: str
    energy_cost_usd: float
    objective: float
    footprints: dict[str, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Plan:
    """Where load goes, `load` (N, T) MW and `sent` (E,) MWh of IT energy on the pairs, and what it costs.

    `work` is the part of jobs, (P, T) MW on their pairs; None without jobs.
    """

    load: Array
    sent: Array
    work: Array | None
    energy_cost_usd: float
    footprints: dict[str, FootprintTotals]

    def served(self, slot_hours: float) -> Array:
        """(N,): MWh of IT energy that each region serves."""
        return np.asarray(self.load.sum(axis=1) * slot_hours)


@dataclass(frozen=True, eq=False)
class Material:
    """A results folder as a report needs it.

    `command` is one of ``solve``, ``compare``, ``simulate`` and ``sweep``; `run` is run.json; `policies` are
    the usual ones, from the folder or run here.
    """

    command: str
    run: dict[str, Any]
    scenario: Scenario
    plan: Plan
    policies: tuple[Policy, ...]
    rounds: tuple[dict[str, Any], ...]

    @property
    def points(self) -> list[dict[str, Any]]:
        """The points of the sweep that the folder holds, alone or with a comparison, if there is one."""
        return list((self.run if self.command == "sweep" else self.run.get("sweep", {})).get("points", []))

    @property
    def cheapest(self) -> Policy | None:
        """The cheapest-first policy, what equity is measured against; None where it was not run."""
        return next((policy for policy in self.policies if policy.name == CHEAPEST), None)

    def worst(self, kind: FootprintKind) -> int:
        """The region with the largest weighted total of `kind`."""
        totals = np.array(list(self.plan.footprints[kind.name].by_region.values()))
        return int((totals * kind.region_weight).argmax())


def read(folder: Path, scenario: Scenario | None = None) -> Material:
    """The results of ``solve``, ``compare``, ``simulate`` or ``sweep`` in `folder`.

    `scenario` is what the folder's plan is for, where it is at hand and need not be read.

    Raises
    ------
    InputError : `folder` holds no such results, or plan and scenario do not belong together.
    """
    run = _run_json(folder)
    command = next((name for key, name in COMMANDS.items() if key in run), None)
    if command is None:
        raise InputError(f"{folder}: holds no results of {', '.join(sorted(COMMANDS.values()))}")
    stored = results_folder.read(folder)
    scenario = scenario or results_folder.read_problem(folder, stored)
    if stored.plan is None:
        raise InputError(f"{folder}: not a results folder: there is no plan.parquet")
    plan = _plan(stored.plan, read_work(scenario, stored.jobs, folder), scenario, folder)
    policies = _stored_policies(run) if "policies" in run else _policies(scenario)
    return Material(command, run, scenario, plan, policies, stored.rounds)


def _run_json(folder: Path) -> dict[str, Any]:
    try:
        run = json.loads((folder / "run.json").read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{folder}: not a results folder: run.json: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{folder}: not a results folder: run.json: {error}") from None
    if not isinstance(run, dict):
        raise InputError(f"{folder}: not a results folder: run.json holds no object")
    return run


def _plan(table: pa.Table, work: Array | None, scenario: Scenario, folder: Path) -> Plan:
    gateway = positions(table["gateway"], scenario.gateways)
    region = positions(table["region"], scenario.regions)
    slot = slot_positions(table["time_utc"], scenario)
    pairs = scenario.reach_region * len(scenario.gateways) + scenario.reach_gateway  # in ascending order
    wanted = region * len(scenario.gateways) + gateway
    pair = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    known = (gateway >= 0) & (region >= 0) & (slot >= 0) & (pairs[pair] == wanted)
    if not known.all():
        raise InputError(f"{folder}: plan.parquet and scenario/ do not belong together")
    mw = table["mw"].to_numpy()
    shape = (len(scenario.regions), scenario.slots)
    load = np.bincount(region * scenario.slots + slot, mw, shape[0] * shape[1]).reshape(shape)
    load += region_load(scenario, np.zeros((len(pairs), scenario.slots)), work)
    return Plan(
        load=load,
        work=work,
        sent=np.bincount(pair, mw, len(pairs)) * scenario.slot_hours,
        energy_cost_usd=energy_cost(scenario, load),
        footprints=footprint_totals(scenario, load),
    )


def _stored_policies(run: dict[str, Any]) -> tuple[Policy, ...]:
    return tuple(
        Policy(row["name"], row["energy_cost_usd"], row["objective"], row["footprints"])
        for row in run["policies"]
    )


def _policies(scenario: Scenario) -> tuple[Policy, ...]:
    """As many of the usual policies as two seconds are enough for."""
    from eglb.sims.baselines import policy_names, policy_row

    cells = len(scenario.reach_region) * scenario.slots
    if (jobs := scenario.jobs) is not None:
        first, last = jobs.slots(scenario.times, scenario.slot_hours)
        cells += CELL_OF_A_JOB * int((last - first)[jobs.pair_job].sum())
    affordable = PAIRS_X_SLOTS // max(1, cells)
    if len(scenario.regions) > REGIONS:
        return ()
    possible = set(policy_names(scenario))
    rows = [policy_row(name, scenario) for name in WORTH_RUNNING[:affordable] if name in possible]
    return tuple(
        Policy(
            row.name,
            row.energy_cost_usd,
            row.objective,
            {kind: asdict(totals) for kind, totals in row.footprints.items()},
        )
        for row in rows
    )
