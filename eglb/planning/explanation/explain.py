"""An explanation of a solution or of a results folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.planning.explanation.explanation import Explanation, explain_plan
from eglb.planning.lost_regions import member_lines
from eglb.planning.solution import Solution
from eglb.planning.storage.job_tables import read_work, read_work_price


def explain(result: str | Path | Solution) -> Explanation:
    """Why load went where it did in `result`: a solution, or the results folder of a solve.

    Raises
    ------
    InputError : the folder cannot be read, or holds no plan with its prices.
    """
    if isinstance(result, Solution):
        prices = (result.demand_price, result.equity_price)
        jobs = (result.work, result.work_price)
        found = explain_plan(result.problem, result.algorithm, result.route, *prices, *jobs)
        return replace(found, missing=tuple(member_lines(**result.membership())))
    return _explain_folder(Path(result))


def _explain_folder(folder: Path) -> Explanation:
    from eglb.planning.storage.folder import read, read_problem
    from eglb.planning.warm_start.align import find_source

    stored = read(folder)
    if not isinstance(stored.run.get("equity_price"), dict) or stored.plan is None or stored.prices is None:
        raise InputError(f"{folder}: holds no plan with its prices; explain a folder of `eglb solve --out`")
    scenario = read_problem(folder, stored)
    source = find_source(folder, scenario)
    gateway = _positions(source.gateways, scenario.gateways)
    region = _positions(source.regions, scenario.regions)
    kind = _positions(tuple(k.name for k in scenario.footprints), source.kinds)
    pair = scenario.reach_region * len(scenario.gateways) + scenario.reach_gateway
    wanted = region[source.flow_region] * len(scenario.gateways) + gateway[source.flow_gateway]
    edge = np.minimum(np.searchsorted(pair, wanted), len(pair) - 1)
    same = (
        np.array_equal(source.times, scenario.times)
        and sorted(source.gateways) == sorted(scenario.gateways)
        and set(source.regions) == set(scenario.regions)
        and (kind >= 0).all()
        and (pair[edge] == wanted).all()
    )
    if not same:
        raise InputError(f"{folder}: plan and prices are not of the fleet in {folder / 'scenario'}")
    route = np.zeros((len(pair), scenario.slots))
    route[edge, source.flow_slot] = source.flow
    demand_price = np.empty(scenario.demand.shape)
    demand_price[gateway] = source.demand_price
    equity_price = np.empty((len(kind), len(scenario.regions)))
    equity_price[:, region] = source.equity_price[kind]
    algorithm = str(stored.run.get("algorithm", ""))
    work = read_work(scenario, stored.jobs, folder)
    work_price = read_work_price(scenario, stored.job_prices, folder)
    found = explain_plan(scenario, algorithm, route, demand_price, equity_price, work, work_price)
    lines = member_lines(stored.run.get("members", {}), stored.run.get("shortfall", {}))
    return replace(found, missing=tuple(lines))


def _positions(names: tuple[str, ...], among: tuple[str, ...]) -> Array:
    place = {name: n for n, name in enumerate(among)}
    return np.array([place.get(name, -1) for name in names], dtype=np.int64)
