"""A scenario in words and figures, for people."""

from __future__ import annotations

import numpy as np

from eglb.sims.scenario import FootprintKind, Scenario

Array = np.ndarray

REGIONS_SHOWN = 12


def describe(scenario: Scenario) -> list[tuple[str, str]]:
    """(label, value) rows: sizes, horizon, demand, capacity, levels by region, equity weights, sources."""
    s = scenario
    demand, capacity = s.demand.sum(axis=0), s.capacity.sum(axis=0)
    full = np.divide(demand, capacity, out=np.zeros(s.slots), where=capacity > 0)
    fullest = demand[full.argmax()], capacity[full.argmax()]
    degree = np.bincount(s.reach_gateway, minlength=len(s.gateways))
    end = s.times[-1] + np.timedelta64(round(s.slot_hours * 3600), "s")
    rows = [
        ("name", s.name),
        ("size", f"{len(s.regions)} regions, {len(s.gateways)} gateways, {s.slots} slots"),
        ("horizon", f"{_minute(s.times[0])} to {_minute(end)} UTC, slots of {s.slot_hours:g} h"),
        ("demand", f"{_figure(demand.mean())} MW mean, {_figure(demand.max())} MW peak (IT power)"),
        ("capacity", f"{_figure(capacity.mean())} MW mean over the slots, all regions together"),
        (
            "utilisation",
            f"{_share(demand.sum(), capacity.sum())} mean, {_share(*fullest)} at the fullest slot",
        ),
        ("reach", f"{_span(degree, '')} regions per gateway, {len(s.reach_region)} pairs{_round_trips(s)}"),
        ("price", f"{_by_region(s.price, s.regions)} USD/MWh"),
        ("PUE", _by_region(s.pue[:, None], s.regions)),
    ]
    rows += [
        (k.name, f"{_by_region(k.intensity, s.regions)} {k.unit}/MWh {_basis(k)}{_signal(k)}")
        for k in s.footprints
    ]
    for k in s.footprints:
        uneven = "" if (k.region_weight == 1).all() else f", region weights {_span(k.region_weight, '')}"
        rows.append(
            (f"equity weight, {k.name}", f"{k.weight:g} USD per {k.unit} of the worst region{uneven}")
        )
    if len(s.regions) <= REGIONS_SHOWN:
        rows += [(name, _region_line(s, i)) for i, name in enumerate(s.regions)]
    rows += [("note", s.note)] if s.note else []
    rows += [("source", source) for source in s.sources]
    return rows


def _region_line(s: Scenario, i: int) -> str:
    gateways = int((s.reach_region == i).sum())
    levels = [
        f"{_figure(s.capacity[i].mean())} MW",
        f"{_figure(s.price[i].mean())} USD/MWh",
        f"PUE {s.pue[i]:g}",
    ]
    levels += [f"{k.name} {_figure(k.intensity[i].mean())} {k.unit}/MWh" for k in s.footprints]
    return ", ".join([*levels, f"{gateways} gateway{'' if gateways == 1 else 's'}"])


def _round_trips(s: Scenario) -> str:
    known = s.reach_rtt_ms[~np.isnan(s.reach_rtt_ms)]
    return f", round trip {_span(known, ' ms')}" if len(known) else ""


def _basis(kind: FootprintKind) -> str:
    return "of IT energy" if kind.per == "it" else "at the meter"


def _signal(kind: FootprintKind) -> str:
    """What kind of signal the intensities are, and how wide their range is, where that is known."""
    parts = [kind.signal] if kind.signal else []
    mean = kind.intensity.mean()
    if kind.low is not None and kind.high is not None and mean > 0:
        parts.append(f"range {kind.low.mean() / mean - 1:+.0%} to {kind.high.mean() / mean - 1:+.0%}")
    return "".join(f"; {part}" for part in parts)


def _by_region(values: Array, regions: tuple[str, ...]) -> str:
    """Range of the regions' means over the horizon, with the names at both ends."""
    mean = values.mean(axis=1)
    low, high = int(mean.argmin()), int(mean.argmax())
    if mean[low] == mean[high]:
        return f"{_figure(mean[low])} everywhere"
    return f"{_figure(mean[low])} ({regions[low]}) to {_figure(mean[high])} ({regions[high]})"


def _span(values: Array, unit: str) -> str:
    low, high = _figure(values.min()), _figure(values.max())
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole > 0 else "0.0%"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _minute(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]")).replace("T", " ")
