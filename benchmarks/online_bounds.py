"""What are the guarantees of the online policies worth? Each bound beside what really happened.

    EGLB_DATA=... python benchmarks/online_bounds.py [--out benchmarks/results]

Exponentiated gradient (`eg`) runs hour by hour on every instance; its prices are recomputed here from its
loads, by the formula in docs/theory.md, and so is every term. Per cent are of the best plan that knows all
hours. A bound above what `sum`, the weighted sum, loses is called vacuous: it tells a user nothing. Then
the family of instances of docs/theory.md, section 5, on which every online policy loses half. `--smoke` is
one small fleet: seconds long.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from dataclasses import replace
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np

import eglb
from eglb.foundation.arrays import Array
from eglb.planning.audit import plan_objective
from eglb.scenarios.scenario import Scenario
from eglb.sims.replay.simulation import offline_bound, simulate

INSTANCES = (
    "paper10",
    "paper10-partial",
    "world10",
    "world16@2023-01-01/14d,regions=10",
    "world16@2023-07-02/28d,regions=16,demand=bloom",
    "world16@2023-10-01/14d,regions=10,demand=m-small,reach=near",
)
WINDOW = 24


def weighted_intensity(scenario: Scenario) -> tuple[Array, Array]:
    """Equity weights (K,) and intensities (K, N, T), region weights included."""
    weight = np.array([kind.weight for kind in scenario.footprints])
    intensity = [k.region_weight[:, None] * scenario.intensity_per_mw_slot(k) for k in scenario.footprints]
    return weight, np.array(intensity)


def eg_prices(gain: Array, weight: Array) -> Array:
    """(K, N, T): the equity prices of exponentiated gradient after the footprints (K, N, T) of its own
    loads.
    """
    kinds, regions, slots = gain.shape
    eta = np.sqrt(2.0 * np.log(regions) / slots)
    before = np.cumsum(gain, axis=2) - gain
    largest = np.maximum.accumulate(gain.max(1), axis=1)
    largest = np.concatenate([np.ones((kinds, 1)), largest[:, :-1]], axis=1)
    power = np.exp(eta * (before - before.max(1, keepdims=True)) / largest[:, None])
    return weight[:, None, None] * power / power.sum(1, keepdims=True)


def evaluate(name: str) -> list[tuple[str, float, float | None]]:
    """(quantity, per cent of the optimum it is or is bounded by, per cent it really was)."""
    scenario = eglb.load(name)
    weight, intensity = weighted_intensity(scenario)
    _, regions, slots = intensity.shape
    best = offline_bound(scenario)
    run = simulate(scenario, "eg", offline=False)
    gain = intensity * run.load
    price = eg_prices(gain, weight)
    served = float((scenario.price_per_mw_slot() * run.load).sum() + (price * gain).sum())
    regret = weight * (gain.sum(2).max(1)) - (price * gain).sum((1, 2))
    seen, known = gain.max((1, 2)), (intensity * scenario.capacity).max((1, 2))
    root = np.sqrt(slots * np.log(regions))
    objective = plan_objective(scenario, run.load)
    assert abs(served + regret.sum() - objective) < 1e-9 * abs(objective)
    offline = eglb.solve(scenario, "newton", gap=1e-6, address="inprocess").load
    plan = intensity * offline
    worst = plan.sum(2).max(1)
    whole = slots // WINDOW * WINDOW
    windows = plan[:, :, :whole].reshape(*plan.shape[:2], -1, WINDOW).sum(3)
    slack = np.maximum(windows.max((1, 2)) - WINDOW / slots * worst, 0.0)
    restricted = weight * (slots / WINDOW * slack + known * root * (0.884 + 0.177 * (WINDOW - 1)))
    percent = 100.0 / abs(best)
    weighted = plan_objective(scenario, simulate(scenario, "sum", certify=False, offline=False).load)
    soft = simulate(scenario, "soft")
    guard = simulate(scenario, "guard", forecast="reversed", certify=False)
    assert soft.running_gap is not None
    return [
        ("weighted sum above the optimum", percent * (weighted - best), None),
        ("eg above the optimum", percent * (objective - best), None),
        ("  of it, prices that came too late (path term)", percent * (served - best), None),
        ("  of it, regret", percent * regret.sum(), None),
        (
            "bound of the regret, largest footprint known",
            percent * (0.884 * weight @ known * root),
            percent * regret.sum(),
        ),
        (
            "bound of the regret, largest footprint seen",
            percent * (weight @ seen * (1.061 * root + 2.0)),
            percent * regret.sum(),
        ),
        (
            f"bound against the optimum, windows of {WINDOW} h",
            percent * restricted.sum(),
            percent * (objective - best),
        ),
        (
            "bound of guard (eps 0.05), regions reversed",
            5.0 + 1.05 * percent * (objective - best),
            percent * (guard.objective - best),
        ),
        ("soft, certified by the run itself", 100.0 * soft.running_gap, percent * (soft.objective - best)),
    ]


def two_halves(slots: int, open_later: int) -> Scenario:
    """Two regions alike for half of the time; then only one of them is open. Price zero, one kind of weight
    one.
    """
    one = eglb.load(f"synthetic:2x{slots}")
    capacity = np.ones((2, slots))
    capacity[1 - open_later, slots // 2 :] = 0.0
    pair = np.array([0, 1])
    kind = replace(
        one.footprints[0], weight=1.0, intensity=np.ones((2, slots)), per="it", region_weight=np.ones(2)
    )
    return replace(
        one,
        name=f"two halves, region {open_later} stays",
        capacity=capacity,
        pue=np.ones(2),
        price=np.zeros((2, slots)),
        gateways=one.gateways[:1],
        gateway_lat=one.gateway_lat[:1],
        gateway_lon=one.gateway_lon[:1],
        gateway_utc_offset_h=one.gateway_utc_offset_h[:1],
        demand=np.ones((1, slots)),
        footprints=(kind,),
        reach_gateway=np.zeros(2, np.int64),
        reach_region=pair,
        reach_rtt_ms=np.full(2, np.nan),
    )


def lost_on_two_halves(policy: str, slots: int) -> float:
    """Per cent above the optimum in the worse of the two cases."""
    gaps = []
    for stays in (0, 1):
        gap = simulate(two_halves(slots, stays), policy, certify=False).gap_to_offline
        assert gap is not None
        gaps.append(100.0 * gap)
    return max(gaps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    names = ("synthetic:6x48",) if options.smoke else INSTANCES
    columns = {name: evaluate(name) for name in names}
    quantities = [quantity for quantity, *_ in columns[names[0]]]
    table = []
    for row, quantity in enumerate(quantities):
        cells = []
        for rows in columns.values():
            _, value, really = rows[row]
            mark = " vacuous" if quantity.startswith("bound") and value > rows[0][1] else ""
            cells.append(f"{value:.2f}" if really is None else f"{value:.2f} ({really:.2f}){mark}")
        table.append([quantity, *cells])
    heading = ["per cent of the optimum (realised)", *names]
    halves = [
        [policy, *(f"{lost_on_two_halves(policy, slots):.1f}" for slots in (24, 96, 384))]
        for policy in ("soft", "mpc", "eg", "adahedge", "guard", "cost")[: 2 if options.smoke else None]
    ]
    lines = [f"`{' '.join(['python', *sys.argv])}`", ""]
    for head, body in ((heading, table), (["two halves, worse case, %", "24 slots", "96", "384"], halves)):
        lines += ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *body)] + [""]
    print("\n".join(lines))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "online_bounds.md").write_text("\n".join(lines), "utf-8")
        with (options.out / "online_bounds.csv").open("w", newline="") as file:
            csv.writer(file).writerows([heading, *table])


if __name__ == "__main__":
    main()
