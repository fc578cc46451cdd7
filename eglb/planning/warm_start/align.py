"""Where an earlier solve ended, told on another scenario: by time stamp, gateway, region and footprint.

A fleet changes from one solve to the next: the window rolls on, regions open and close, weights and
capacities move. What both share is carried over and the rest is guessed; it is a place to start from, and
never part of a certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.planning.solution import Solution
from eglb.planning.storage.job_tables import read_work, read_work_price
from eglb.planning.warm_start.align_jobs import EarlierJobs, earlier_jobs, place_jobs
from eglb.scenarios.scenario import Scenario

if TYPE_CHECKING:
    import pyarrow as pa

    from eglb.coordinator.algorithms.algorithm import WarmStart
    from eglb.planning.partition import Partition
    from eglb.planning.storage.folder import StoredRun

_DAY = np.timedelta64(1, "D") // np.timedelta64(1, "s")
_PLAN = ("time_utc", "gateway", "region", "mw")
_PRICES = ("time_utc", "gateway", "usd_per_mw_slot")
_REMEMBERED = ("plan", "footprint", "region", "usd_per_unit")


@dataclass(frozen=True, eq=False)
class WarmStartSource:
    """Plan and prices of an earlier solve, by name, whatever its scenario looked like.

    Parameters
    ----------
    where : what messages call it.
    times : (T,) datetime64[s], ascending. gateways, regions, kinds : J, N and K names.
    flow_slot, flow_gateway, flow_region : (M,) indices of what carries load. flow : (M,) MW.
    demand_price : (J, T) USD per MW-slot. equity_price : (K, N) USD per unit.
    equity_prices : (R, K, N) further ones that it remembered; R may be zero.
    jobs : its jobs, None if it had none.
    """

    where: str
    times: Array
    gateways: tuple[str, ...]
    regions: tuple[str, ...]
    kinds: tuple[str, ...]
    flow_slot: Array
    flow_gateway: Array
    flow_region: Array
    flow: Array
    demand_price: Array
    equity_price: Array
    equity_prices: Array
    jobs: EarlierJobs | None = None


def find_source(earlier: str | Path | Solution | WarmStartSource, scenario: Scenario) -> WarmStartSource:
    """An earlier solve, from a results folder or at hand, that has something to tell about `scenario`.

    Raises
    ------
    InputError : the folder cannot be read, or shares no gateway or no region with `scenario`.
    """
    if isinstance(earlier, WarmStartSource):
        source = earlier
    elif isinstance(earlier, Solution):
        source = _from_solution(earlier)
    else:
        from eglb.planning.storage.folder import read

        source = _from_folder(Path(earlier), read(Path(earlier)))
    problems = [
        f"{source.where}: none of its {noun}s ({_some(theirs)}) is one of {scenario.name} ({_some(ours)})"
        for noun, theirs, ours in (
            ("gateway", source.gateways, scenario.gateways),
            ("region", source.regions, scenario.regions),
        )
        if not set(theirs) & set(ours)
    ]
    if problems:
        raise InputError(problems)
    return source


def align(source: WarmStartSource, parts: Partition) -> WarmStart:
    """What `source` knows, on the slots, pairs, regions and kinds of the market of `parts`.

    A slot it did not cover is taken for the nearest one it covered at that time of day, or else the nearest.
    A region it did not know carries nothing and has no equity price; a new kind of footprint is priced alike
    in all regions. Flows are scaled to demand, which a gateway without any spreads evenly; equity prices are
    scaled to the weights.
    """
    # Loaded here, as whoever only reads a folder needs no compiled kernels.
    from eglb.coordinator.algorithms.algorithm import WarmStart

    scenario, market = parts.scenario, parts.market
    slot = _nearest_slots(scenario.times, source.times)
    gateway = _positions(source.gateways, scenario.gateways)
    region = _positions(scenario.regions, source.regions)
    priced = [scenario.footprints[k].name for k in parts.kinds]
    kind = _positions(priced, source.kinds)

    def equity(price: Array) -> Array:
        taken = np.pad(price, ((0, 1), (0, 1)))[np.ix_(kind, region)]
        return market.equity.normalise(taken.T)

    further = [equity(price) for price in source.equity_prices]
    route, demand_price = place_jobs(
        source.jobs,
        parts,
        _scaled_to_demand(_flows(source, parts, gateway)[slot], parts),
        _merged_prices(source.demand_price.T[slot], parts, gateway),
    )
    return WarmStart(
        route=route,
        demand_price=demand_price,
        equity_price=equity(source.equity_price),
        known=source.times[slot] == scenario.times,
        equity_prices=np.array(further).reshape(len(further), market.regions, market.kinds),
    )


def _nearest_slots(times: Array, earlier: Array) -> Array:
    """(T,) index in `earlier` of the nearest slot at the same time of day, or the nearest of all; ties to the
    past.
    """
    have = earlier.astype("datetime64[s]").astype(np.int64)
    nearest = np.empty(len(times), np.int64)
    for t, want in enumerate(times.astype("datetime64[s]").astype(np.int64)):
        alike = np.flatnonzero((have - want) % _DAY == 0)
        among = alike if len(alike) else np.arange(len(have))
        nearest[t] = among[np.argmin(np.abs(have[among] - want))]
    return nearest


def _positions(names: tuple[str, ...] | list[str], among: tuple[str, ...]) -> Array:
    """(len(names),) where each name stands in `among`; -1, the place after the last, where it does not."""
    place = {name: n for n, name in enumerate(among)}
    return np.array([place.get(name, -1) for name in names], np.int64)


def _flows(source: WarmStartSource, parts: Partition, gateway: Array) -> Array:
    """(T of the source, E) MW on the market's pairs; what runs over pairs no longer there is left out."""
    pairs = parts.pairs
    column = np.empty(len(parts.by_gateway), np.int64)
    column[parts.by_gateway] = np.arange(len(parts.by_gateway))
    groups = len(pairs.demand)
    pair = pairs.region * groups + pairs.gateway
    region = _positions(source.regions, parts.scenario.regions)[source.flow_region]
    origin = gateway[source.flow_gateway]
    wanted = region * groups + pairs.group[origin]
    found = np.minimum(np.searchsorted(pair, wanted), len(pair) - 1)
    there = (origin >= 0) & (region >= 0) & (pair[found] == wanted)
    flow = np.zeros((len(source.times), len(pair)))
    np.add.at(flow, (source.flow_slot[there], column[found[there]]), source.flow[there])
    return flow


def _scaled_to_demand(flow: Array, parts: Partition) -> Array:
    """`flow` (T, E) with every gateway's part scaled to its demand, spread evenly where it has none."""
    market, demand = parts.market, parts.market.fixed_demand
    gateways, edges = demand.shape[1], flow.shape[1]
    if not gateways:
        return flow
    served = np.add.reduceat(flow, market.gateway_start[:gateways], axis=1)
    factor = np.divide(demand, served, out=np.zeros_like(served), where=served > 0.0)
    of_edge = market.edge_gateway[:edges]
    return np.where((served > 0.0)[:, of_edge], flow * factor[:, of_edge], market.spread()[:, :edges])


def _merged_prices(price: Array, parts: Partition, gateway: Array) -> Array:
    """(T, J) mean demand price of the gateways of each group; of all gateways where none of them is known."""
    groups, known = len(parts.pairs.demand), gateway >= 0
    group = parts.pairs.group[gateway[known]]
    members = np.bincount(group, minlength=groups)
    total = np.zeros((len(price), groups))
    np.add.at(total.T, group, price.T[known])
    overall = price[:, known].mean(1, keepdims=True)
    return np.where(members > 0, total / np.maximum(members, 1), overall)


def _from_solution(solution: Solution) -> WarmStartSource:
    scenario = solution.scenario
    edge, slot = np.nonzero(solution.route)
    return WarmStartSource(
        where=f"the earlier solution of {scenario.name}",
        times=scenario.times,
        gateways=scenario.gateways,
        regions=scenario.regions,
        kinds=tuple(kind.name for kind in scenario.footprints),
        flow_slot=slot,
        flow_gateway=scenario.reach_gateway[edge],
        flow_region=scenario.reach_region[edge],
        flow=solution.route[edge, slot],
        demand_price=solution.demand_price,
        equity_price=solution.equity_price,
        equity_prices=solution.equity_prices,
        jobs=earlier_jobs(solution.problem, solution.work, solution.work_price),
    )


def _from_folder(folder: Path, stored: StoredRun) -> WarmStartSource:
    if stored.plan is None or stored.prices is None:
        raise InputError(f"{folder}: has no plan.parquet and prices.parquet, so nothing to start from")
    equity = _stored_equity_prices(folder / "run.json", stored.run)
    plan = _read_columns(folder / "plan.parquet", stored.plan, _PLAN)
    prices = _read_columns(folder / "prices.parquet", stored.prices, _PRICES)
    times, price_slot = np.unique(prices["time_utc"], return_inverse=True)
    gateways, price_gateway = _distinct(prices["gateway"])
    cell = price_slot * len(gateways) + price_gateway
    if len(np.unique(cell)) != len(cell) or len(cell) != len(times) * len(gateways) or not len(cell):
        raise InputError(f"{folder / 'prices.parquet'}: not one row for every gateway in every slot")
    demand_price = np.empty(len(cell))
    demand_price[cell] = prices["usd_per_mw_slot"]
    kinds = tuple(equity)
    regions = tuple(dict.fromkeys([*(r for row in equity.values() for r in row), *plan["region"].tolist()]))
    flow_slot = np.minimum(np.searchsorted(times, plan["time_utc"]), len(times) - 1)
    flow_gateway = _positions(plan["gateway"].tolist(), gateways)
    foreign = np.flatnonzero((times[flow_slot] != plan["time_utc"]) | (flow_gateway < 0) | (plan["mw"] < 0.0))
    if len(foreign):
        row = int(foreign[0])
        raise InputError(
            f"{folder / 'plan.parquet'}: row {row + 1}: {plan['mw'][row]:g} MW of {plan['gateway'][row]} at "
            f"{plan['time_utc'][row]}Z: a negative flow, or a gateway or slot not in prices.parquet"
        )
    return WarmStartSource(
        where=str(folder),
        times=times,
        gateways=gateways,
        regions=regions,
        kinds=kinds,
        flow_slot=flow_slot,
        flow_gateway=flow_gateway,
        flow_region=_positions(plan["region"].tolist(), regions),
        flow=plan["mw"],
        demand_price=np.ascontiguousarray(demand_price.reshape(len(times), len(gateways)).T),
        equity_price=np.array([[equity[k].get(r, 0.0) for r in regions] for k in kinds]).reshape(
            len(kinds), len(regions)
        ),
        equity_prices=_remembered(folder, stored, kinds, regions),
        jobs=_stored_jobs(folder, stored),
    )


def _stored_jobs(folder: Path, stored: StoredRun) -> EarlierJobs | None:
    """The jobs of a results folder, whose scenario says what they are; None if it has none."""
    from eglb.planning.storage.folder import read_problem

    if stored.jobs is None:
        return None
    scenario = read_problem(folder, stored)
    work = read_work(scenario, stored.jobs, folder)
    return earlier_jobs(scenario, work, read_work_price(scenario, stored.job_prices, folder))


def _stored_equity_prices(path: Path, run: object) -> dict[str, dict[str, float]]:
    """The equity prices of a run.json, by kind and region."""
    prices = run.get("equity_price") if isinstance(run, dict) else None
    if not isinstance(prices, dict):
        raise InputError(f"{path}: has no equity_price: not left by a solve, so nothing to start from")
    for kind, row in prices.items():
        if not isinstance(row, dict):
            raise InputError(f"{path}: equity_price of {kind}: {row!r} is not a price for each region")
        for region, value in row.items():
            if not isinstance(value, (int, float)) or not 0.0 <= value < np.inf:
                raise InputError(f"{path}: equity_price of {kind} in {region}: {value!r} is no price")
    return prices


def _remembered(folder: Path, stored: StoredRun, kinds: tuple[str, ...], regions: tuple[str, ...]) -> Array:
    """(R, K, N) of equity_prices.parquet, or none if the folder has none."""
    if stored.equity_prices is None:
        return np.zeros((0, len(kinds), len(regions)))
    path = folder / "equity_prices.parquet"
    rows = _read_columns(path, stored.equity_prices, _REMEMBERED)
    which, plan = np.unique(rows["plan"], return_inverse=True)
    kind = _positions(rows["footprint"].tolist(), kinds)
    region = _positions(rows["region"].tolist(), regions)
    price = np.zeros((len(which), len(kinds), len(regions)))
    if (kind < 0).any() or (region < 0).any() or (rows["usd_per_unit"] < 0.0).any():
        raise InputError(f"{path}: a negative price, or a footprint or region that run.json does not have")
    price[plan, kind, region] = rows["usd_per_unit"]
    return price


def _read_columns(path: Path, table: pa.Table, names: tuple[str, ...]) -> dict[str, Array]:
    """Columns of a table as arrays: stamps as datetime64[s], names as objects, all else as finite floats."""
    import pyarrow as pa

    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: no column {name}" for name in missing)
    columns: dict[str, Array] = {}
    for name in names:
        column = table[name]
        kind = {"time_utc": pa.timestamp("s", tz="UTC"), "gateway": pa.string(), "region": pa.string()}
        try:
            values = column.cast({**kind, "footprint": pa.string()}.get(name, pa.float64()))
        except pa.ArrowException as error:
            raise InputError(f"{path}: column {name}: {error}") from None
        array = values.to_numpy()
        absent = ~np.isfinite(array) if array.dtype.kind == "f" else values.is_null().to_numpy()
        if absent.any():
            row = int(np.argmax(absent))
            raise InputError(f"{path}: column {name}, row {row + 1}: {column[row]} is no value")
        columns[name] = array
    return columns


def _distinct(names: Array) -> tuple[tuple[str, ...], Array]:
    """The different names in order of appearance, and which of them each one is."""
    different = tuple(dict.fromkeys(names.tolist()))
    return different, _positions(names.tolist(), different)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
