"""The last section of a report: where data come from, what they mean, and what was proved."""

from __future__ import annotations

import platform
from importlib.metadata import version

import numpy as np

from eglb.foundation.numbers import amount, small
from eglb.report.drawing import vega_version
from eglb.report.inputs import Material
from eglb.report.markup import text
from eglb.scenarios.scenario import FootprintKind


def provenance(material: Material) -> str:
    """A table of facts; sources with the attribution that their licences ask for."""
    scenario, run = material.scenario, material.run
    rows = [
        ("Scenario", text(scenario.name)),
        ("Modelled, measured", text(scenario.note) or "the scenario does not say"),
    ]
    rows += [(f"Footprint: {kind.name}", _kind(material, kind)) for kind in scenario.footprints]
    items = "".join(f"<li>{text(source)}</li>" for source in scenario.sources)
    rows.append(("Sources", f"<ul>{items}</ul>" if items else "the scenario names none"))
    if run.get("violations"):
        worst = max(run["violations"].values())
        rows.append(("Limits", f"demand, capacity and reach are met to {small(worst)} MW"))
    rows += [("Certificate", _certificate(material)), ("Recomputed", _RECOMPUTED)]
    rows.append(
        (
            "Versions",
            text(
                f"eglb {version('eglb')}, Python {platform.python_version()}, numpy {np.__version__}, "
                f"HiGHS {version('highspy')}; figures: Vega {vega_version()} (BSD-3-Clause)"
            ),
        )
    )
    rows.append(("Map", "coarse land mask from the GLOBE elevation model, NOAA (public domain)"))
    body = "".join(f'<tr><th scope="row">{text(label)}</th><td>{value}</td></tr>' for label, value in rows)
    return (
        f'<table class="facts"><caption>What stands behind the figures</caption><tbody>{body}</tbody></table>'
    )


_RECOMPUTED = (
    "costs, footprints and bounds follow from <code>scenario/</code>, <code>plan.parquet</code> and "
    "<code>prices.parquet</code> beside this file, by code that shares nothing with the algorithms"
)


def _certificate(material: Material) -> str:
    if material.command == "simulate":
        return (
            "the run is set beside a lower bound on the best plan that knows all hours, and certifies itself "
            "along the way from what it had seen"
        )
    return (
        "any prices on demand and on the regions' footprints give a lower bound that no plan can beat; the "
        "gap is (objective &minus; lower bound) / objective"
    )


def _kind(material: Material, kind: FootprintKind) -> str:
    basis = "IT energy" if kind.per == "it" else "energy at the meter"
    shape = str(kind.shape)
    priced = "the worst region's total" if shape == "max" else f"the regions' totals by {shape}"
    parts = [
        f"signal: {kind.signal}" if kind.signal else "signal type not stated",
        f"{kind.unit} per MWh of {basis}",
        f"{kind.weight:g} USD per {kind.unit} of {priced}",
    ]
    if not (kind.region_weight == 1.0).all():
        low, high = kind.region_weight.min(), kind.region_weight.max()
        parts.append(f"regions weigh {low:.3g} to {high:.3g} in it")
    if kind.low is None or kind.high is None:
        parts.append("range of the estimates not known")
    else:
        middle = float(kind.intensity.sum()) or 1.0
        low, high = float(kind.low.sum()) / middle, float(kind.high.sum()) / middle
        parts.append(f"estimates range from {low:.2f} to {high:.2f} times the central ones")
        parts.append(f"this plan's worst region then has {_ends(material, kind)}")
    return text("; ".join(parts))


def _ends(material: Material, kind: FootprintKind) -> str:
    """The worst region's total under the low and the high estimates, at the same plan."""
    worst = []
    for level in ("low", "high"):
        scenario = material.scenario.at(level)
        at = next(k for k in scenario.footprints if k.name == kind.name)
        totals = (scenario.intensity_per_mw_slot(at) * material.plan.load).sum(axis=1)
        worst.append(float(totals.max()))
    return f"{amount(worst[0])} to {amount(worst[1], kind.unit)}"
