"""The top of a report: what was solved, what it costs, how even it is and how far it is proved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from eglb.foundation.numbers import amount
from eglb.planning.job_totals import measure_jobs
from eglb.report.inputs import CHEAPEST, Material
from eglb.report.markup import MINUS, change, short, text

TILES = 4  # footprint kinds that get a tile of their own


@dataclass(frozen=True)
class Reference:
    """What equity is measured against: cheapest-first, or the plan at weight zero."""

    name: str
    energy_cost_usd: float
    footprints: dict[str, dict[str, Any]]


def cheapest(material: Material) -> Reference | None:
    """Cheapest-first as a policy, else a sweep's point without any weight; None where neither was run."""
    if (policy := material.cheapest) is not None:
        return Reference(policy.name, policy.energy_cost_usd, policy.footprints)
    return next(
        (
            Reference("weight zero", point["energy_cost_usd"], point["footprints"])
            for point in material.points
            if point["weight_factor"] == 0
        ),
        None,
    )


def gap(material: Material) -> float | None:
    """The certified gap of the plan that the report is about; None where none was asked for."""
    run = material.run
    if material.command == "compare":
        return next((row["gap"] for row in run["solvers"] if row["name"] == run["plan_by"]), None)
    if material.command == "sweep":
        return next((p["gap"] for p in run["points"] if p["weight_factor"] == run["plan_factor"]), None)
    return run["gap_to_offline"] if material.command == "simulate" else run["gap"]


def header(material: Material) -> str:
    """Name, size and horizon, who planned and how it ended."""
    run, s = material.run, material.scenario
    end = s.times[-1] + np.timedelta64(round(s.slot_hours * 3600), "s")
    size = (
        f"{len(s.regions):,} regions · {len(s.gateways):,} gateways · {s.slots:,} slots of "
        f"{s.slot_hours:g} h · {_minute(s.times[0])} to {_minute(end)} UTC"
    )
    ways = {
        "solve": "One plan for the whole horizon",
        "compare": "Policies and algorithms side by side",
        "simulate": "Hour by hour, with only what was known",
        "sweep": "What equity costs",
    }
    way = "Training and inference, apart and together" if "schedulings" in run else ways[material.command]
    return (
        f'<header><p class="eyebrow">{way}</p><h1>{text(s.name)}</h1>'
        f'<p class="about">{text(size)}<br>{_how(material, run)}</p></header>'
    )


def _how(material: Material, run: dict[str, Any]) -> str:
    if material.command == "simulate":
        parts = [f"policy {run['policy']}", f"forecast {run['forecast']}", f"estimates {run['estimates']}"]
        return text(" · ".join(parts))
    if material.command == "compare":
        return text(
            f"{len(run['solvers'])} solvers, {len(run['policies'])} policies · plan shown: {run['plan_by']}"
        )
    if material.command == "sweep":
        points = f"{len(run['points'])} certified plans"
        return text(f"{points} · plan shown: weights times {run['plan_factor']:g}")
    status = run["status"].replace("_", " ")
    good = " good" if run["status"] == "converged" else ""
    rounds = f"{run['rounds']:,} rounds" if run["rounds"] else "no rounds"
    return f'<span class="status{good}">{text(status)}</span> · {text(run["algorithm"])}, {text(rounds)}'


def _minute(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]")).replace("T", " ")


def tiles(material: Material) -> str:
    """The figures to see first."""
    plan, cheap, proved = material.plan, cheapest(material), gap(material)
    found = [("Energy cost", f"{short(plan.energy_cost_usd)}<small>USD</small>", _per_mwh(material))]
    if cheap is not None:
        more = plan.energy_cost_usd - cheap.energy_cost_usd
        sign = "more" if more >= 0 else "less"
        found.append(
            (
                "Cost of equity",
                change(cheap.energy_cost_usd, plan.energy_cost_usd),
                f"{short(abs(more))} USD {sign} energy cost than {_called(cheap)}",
            )
        )
    kinds = sorted(material.scenario.footprints, key=lambda kind: -kind.weight)[:TILES]
    for kind in [kind for kind in material.scenario.footprints if kind in kinds]:
        totals = plan.footprints[kind.name]
        worst = material.scenario.regions[material.worst(kind)]
        remark = f"worst {amount(totals.max, kind.unit)} in {worst}"
        if cheap is not None and cheap.footprints[kind.name]["par"] is not None:
            remark += f"; {cheap.name}: {cheap.footprints[kind.name]['par']:.2f}"
        par = f"{totals.par:.2f}" if math.isfinite(totals.par) else "-"
        found.append((f"{kind.name.capitalize()}, max/avg", par, remark))
    if plan.work is not None:
        jobs = measure_jobs(material.scenario, plan.work)
        moved = f"{jobs.moved_in_time:.0%} moved in time, {jobs.moved_in_space:.0%} in space"
        found.append(
            ("Jobs", f"{100 * jobs.share_of_energy:.3g} %", f"of all energy, {jobs.count:,} of them; {moved}")
        )
    if proved is not None:
        found.append(_proof(material, max(proved, 0.0)))
    cells = "".join(
        f'<div><dt>{text(label)}</dt><dd class="figure">{figure}</dd>'
        f'<dd class="remark">{text(remark)}</dd></div>'
        for label, figure, remark in found
    )
    return f'<dl class="tiles">{cells}</dl>'


def _called(cheap: Reference) -> str:
    return f"cheapest-first ({cheap.name})" if cheap.name == CHEAPEST else f"at {cheap.name}"


def _per_mwh(material: Material) -> str:
    energy = float(material.plan.load.sum()) * material.scenario.slot_hours
    return f"{amount(material.plan.energy_cost_usd / energy)} USD per MWh of IT energy" if energy > 0 else ""


def _proof(material: Material, gap: float) -> tuple[str, str, str]:
    if material.command == "simulate":
        return "Gap to hindsight", f"{100 * gap:.2f} %", "at most, above the best plan that knows all hours"
    share = f"{100 * gap:.2g} %" if gap >= 1e-6 else "< 0.0001 %"
    whose = " of the regions that are left" if material.run.get("members", {}).get("out") else ""
    return "Certified gap", share, f"no plan{whose} can be cheaper than this one by more"


def lead(material: Material) -> str:
    """The plan against cheapest-first, in a sentence; or why that is not there."""
    plan, cheap = material.plan, cheapest(material)
    if cheap is None:
        return (
            '<p class="lead">The usual policies, and with them the cost of equity, are left out: on a fleet '
            "of this size they take longer than a report should. <code>eglb compare</code> runs them.</p>"
        )
    parts = [
        f"the worst region's {kind.name} {_move(old['max'], new.max)} "
        f"(max/avg {old['par']:.2f} to {new.par:.2f})"
        for kind in material.scenario.footprints
        for old, new in [(cheap.footprints[kind.name], plan.footprints[kind.name])]
        if old["par"] is not None and math.isfinite(new.par)
    ]
    money = _move(cheap.energy_cost_usd, plan.energy_cost_usd)
    against = f"against {_called(cheap)}" if cheap.name == CHEAPEST else f"against the one {_called(cheap)}"
    sentence = f"This plan {against}: energy cost {money}; {', '.join(parts)}".removesuffix("; ")
    return f'<p class="lead">{text(sentence)}.</p>'


def _move(old: float, new: float) -> str:
    if old == new:
        return "stays as it is"
    return f"{'rises' if new > old else 'falls'} by {change(old, new).lstrip(f'+{MINUS}')}"
