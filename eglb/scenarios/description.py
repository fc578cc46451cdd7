"""A scenario in words and figures, for people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eglb.foundation.arrays import Array
from eglb.foundation.world_map import terminal_map
from eglb.scenarios.jobs import Jobs
from eglb.scenarios.scenario import FootprintKind, Scenario

REGIONS_SHOWN = 12


@dataclass(frozen=True, eq=False)
class ScenarioView:
    """A scenario for a terminal: the rows of `describe`, and a map of its regions."""

    scenario: Scenario

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        s = self.scenario
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for label, value in describe(s):
            table.add_row(Text(label), Text(value))
        yield Padding(table, (0, 0, 1, 0))
        lines = terminal_map(s.region_lat, s.region_lon, s.regions, options.max_width, options.ascii_only)
        yield Text("\n".join(lines), no_wrap=True)


def describe(scenario: Scenario) -> list[tuple[str, str]]:
    """(label, value) rows: sizes, horizon, demand, capacity, levels by region, equity, facts, sources."""
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
        uneven = (
            ""
            if (k.region_weight == 1).all()
            else f", region weights {_by_region(k.region_weight[:, None], s.regions)}"
        )
        shape = "the worst region" if k.shape.family == "max" else f"the regions' {k.shape}"
        rows.append((f"equity weight, {k.name}", f"{k.weight:g} USD per {k.unit} of {shape}{uneven}"))
    rows += [("jobs", _jobs(s, s.jobs))] if s.jobs is not None else []
    rows += _fact("water stress", s.water_stress, "of 0 to 4", s.regions)
    rows += _fact("people nearby", s.people_m, "million", s.regions)
    if len(s.regions) <= REGIONS_SHOWN:
        rows += [(name, _region_line(s, i)) for i, name in enumerate(s.regions)]
    rows += [("note", s.note)] if s.note else []
    rows += [("source", source) for source in s.sources]
    return rows


def _jobs(s: Scenario, jobs: Jobs) -> str:
    """How many, how much of all energy, how long they may wait and where they may run."""
    first, last = jobs.slots(s.times, s.slot_hours)
    energy = float(jobs.energy_mwh.sum())
    share = _share(energy, energy + float(s.demand.sum()) * s.slot_hours)
    where = np.bincount(jobs.pair_job, minlength=len(jobs))
    return (
        f"{len(jobs):,}, {_figure(energy)} MWh, {share} of all energy; "
        f"{_span((last - first) * s.slot_hours, ' h')} from release to deadline, {_span(where, '')} "
        "regions each"
    )


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


def _fact(label: str, fact: Array | None, unit: str, regions: tuple[str, ...]) -> list[tuple[str, str]]:
    """The row of one fact of the regions, if it is known of any."""
    known = [] if fact is None else np.flatnonzero(~np.isnan(fact)).tolist()
    if fact is None or not known:
        return []
    span = _by_region(fact[known, None], tuple(regions[i] for i in known))
    unknown = [regions[i] for i in range(len(regions)) if i not in known][:REGIONS_SHOWN]
    return [(label, f"{span} {unit}" + (f"; not known of {', '.join(unknown)}" if unknown else ""))]


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
