"""An explanation by region, by gateway and by pair, for the part of the fleet and of the horizon asked for.

Prices are means in USD per MWh of IT energy, weighted by the demand of the gateways looked at, so that their
parts add up as they do in every slot.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.foundation.numbers import plain
from eglb.scenarios.lookup import find_name, find_slot

if TYPE_CHECKING:
    from eglb.planning.explanation.explanation import Explanation

BEST_HOURS = 3
BEST_REGIONS = 3


@dataclass(frozen=True, eq=False)
class Selection:
    """What is looked at: `slots` (S,) their positions; `region`, `hour`, `gateway` a position or None for
    all.
    """

    slots: Array
    region: int | None = None
    hour: int | None = None
    gateway: int | None = None

    @property
    def whole(self) -> bool:
        """Whether it is the whole fleet over the whole horizon."""
        return self.region is None and self.hour is None and self.gateway is None


def select(
    explanation: Explanation,
    region: str | None = None,
    hour: str | int | None = None,
    gateway: str | None = None,
) -> Selection:
    """The part that names and an hour, a slot number or a UTC time, stand for.

    Raises
    ------
    InputError : one of them is not of this fleet; all such are named.
    """
    s = explanation.scenario
    found: dict[str, int | None] = {}
    problems: list[str] = []
    for noun, asked, find in (
        ("region", region, lambda: find_name("region", str(region), s.regions)),
        ("hour", hour, lambda: find_slot(s, str(hour))),
        ("gateway", gateway, lambda: find_name("gateway", str(gateway), s.gateways)),
    ):
        try:
            found[noun] = None if asked is None else find()
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    slots = np.arange(s.slots) if found["hour"] is None else np.array([found["hour"]])
    return Selection(slots, found["region"], found["hour"], found["gateway"])


@dataclass(frozen=True)
class RegionRow:
    """One region over the slots selected; with a gateway, `served_mwh` and shares are of that gateway alone.

    `surcharge` is by footprint kind; `demand_price` and `reduced_cost` are those of the gateway selected, if
    any. `equity_share` is by kind the region's part of the price of inequity. `full_hours` are those without
    room left, `use` is load / capacity. `capacity_worth` is what one more MW over these slots would save,
    USD. `binds` says what keeps more load away.
    """

    region: str
    served_mwh: float
    share: float
    energy: float
    surcharge: dict[str, float]
    capacity: float
    full_price: float
    demand_price: float | None
    reduced_cost: float | None
    equity_share: dict[str, float]
    full_hours: float
    use: float
    capacity_worth: float
    binds: tuple[str, ...]


@dataclass(frozen=True)
class GatewayRow:
    """One gateway over the slots selected; with a region, the share and costs are those of that region.

    `served_by` is the share of its demand by region. `next_best` is the cheapest region in reach that does
    not serve it, most often, and `next_best_extra` how much dearer it is than the demand price; with a
    region, it is the cheapest other one in reach, for the load that the region serves. `reach_worth` lists
    the regions out of reach that would save most per MW: name, mean saving in USD per MWh, USD for one MW all
    the time, and the most that reaching it can save, USD, but for the certified gap.
    """

    gateway: str
    demand_mwh: float
    demand_price: float
    served_by: dict[str, float]
    reduced_cost: float | None
    next_best: str | None
    next_best_extra: float | None
    reach_worth: tuple[dict[str, Any], ...]


def region_rows(explanation: Explanation, chosen: Selection) -> list[RegionRow]:
    """A row for every region (of the gateway's reach, if one is selected), in the scenario's order."""
    e, s, slots, gateway = explanation, explanation.scenario, chosen.slots, chosen.gateway
    pairs = np.arange(len(s.reach_region)) if gateway is None else e.pairs_of(gateway)
    demand = s.demand[:, slots] if gateway is None else s.demand[gateway : gateway + 1, slots]
    mean = _Mean(demand.sum(axis=0), s.slot_hours)
    if gateway is None:
        mw = e.load[:, slots]
    else:
        mw = np.zeros((len(s.regions), len(slots)))
        np.add.at(mw, s.reach_region[pairs], e.route[np.ix_(pairs, slots)])
    pays = None if gateway is None else mean(e.demand_price[gateway, slots])
    shares = e.equity_share()
    kept_out = _kept_out(e, slots)
    paid = (
        _ratio((e.demand_price[:, slots] * s.demand[:, slots]).sum(), s.demand[:, slots].sum()) / s.slot_hours
    )
    rows = []
    for i in range(len(s.regions)) if gateway is None else s.reach_region[pairs].tolist():
        price = mean(e.full_price[i, slots])
        capacity = float(s.capacity[i, slots].sum())
        row = RegionRow(
            region=s.regions[i],
            served_mwh=float(mw[i].sum()) * s.slot_hours,
            share=_ratio(mw[i].sum(), demand.sum() if s.jobs is None or gateway is not None else mw.sum()),
            energy=mean(e.energy[i, slots]),
            surcharge={k.name: mean(e.surcharge[n, i, slots]) for n, k in enumerate(s.footprints)},
            capacity=mean(e.capacity_price[i, slots]),
            full_price=price,
            demand_price=pays,
            reduced_cost=None if pays is None else price - pays,
            equity_share={k.name: float(shares[n, i]) for n, k in enumerate(s.footprints)},
            full_hours=float(e.full[i, slots].sum()) * s.slot_hours,
            use=_ratio(e.load[i, slots].sum(), capacity),
            capacity_worth=float(e.capacity_price[i, slots].sum()),
            binds=(),
        )
        paid = (
            mean((e.demand_price[:, slots] * demand).sum(axis=0) / demand.sum()) if gateway is None else 0.0
        )
        rows.append(replace(row, binds=_reasons(row, bool(kept_out[i]), paid)) if gateway is None else row)
    return rows


def gateway_rows(explanation: Explanation, chosen: Selection) -> list[GatewayRow]:
    """A row for every gateway selected (of those that reach the region, if one is selected)."""
    e, s, slots, region = explanation, explanation.scenario, chosen.slots, chosen.region
    rows = []
    for j in range(len(s.gateways)) if chosen.gateway is None else [chosen.gateway]:
        pairs = e.pairs_of(j)
        regions, demand = s.reach_region[pairs], s.demand[j, slots]
        here = regions == region
        if region is not None and not here.any():
            continue
        mean, total = _Mean(demand, s.slot_hours), float(demand.sum())
        share = [_ratio(mw, total) for mw in e.route[np.ix_(pairs, slots)].sum(axis=1)]
        if region is None:
            serving, base = e.route[pairs] > SERVES * s.demand[j], e.demand_price[j]
        else:
            serving, base = np.broadcast_to(here[:, None], (len(pairs), s.slots)), e.full_price[region]
        other, price = (found[slots] for found in e.next_best(j, serving))
        known = other >= 0
        # Of a region, what counts is the load it serves: what would that have cost elsewhere?
        load = demand if region is None else e.route[pairs[here][0], slots]
        mean_known = _Mean(load[known], s.slot_hours)
        often = np.bincount(other[known], weights=mean_known.weight, minlength=1)
        rows.append(
            GatewayRow(
                gateway=s.gateways[j],
                demand_mwh=total * s.slot_hours,
                demand_price=mean(e.demand_price[j, slots]),
                served_by={
                    s.regions[regions[n]]: share[n]
                    for n in sorted(range(len(pairs)), key=lambda n: -share[n])
                    if share[n] > SERVES
                },
                reduced_cost=None if region is None else mean(e.reduced_cost[pairs[here][0], slots]),
                next_best=s.regions[int(often.argmax())] if known.any() else None,
                next_best_extra=mean_known((price - base[slots])[known]) if known.any() else None,
                reach_worth=_reach_worth(e, j, slots, mean),
            )
        )
    return rows


def pair_rows(explanation: Explanation, chosen: Selection) -> list[dict[str, Any]]:
    """Every pair and slot selected: MW, the parts of its price in USD per MWh, and the next-best region's."""
    e, s = explanation, explanation.scenario
    hours, rows = s.slot_hours, []
    for j in range(len(s.gateways)) if chosen.gateway is None else [chosen.gateway]:
        pairs = e.pairs_of(j)
        for n, (pair, i) in enumerate(zip(pairs, s.reach_region[pairs], strict=True)):
            if chosen.region not in (None, i):
                continue
            but = np.zeros((len(pairs), s.slots), dtype=bool)
            but[n] = True
            other, price = e.next_best(j, but)
            rows += [
                {
                    "time_utc": f"{s.times[t]}Z",
                    "gateway": s.gateways[j],
                    "region": s.regions[i],
                    "mw": e.route[pair, t],
                    "energy": e.energy[i, t] / hours,
                    "surcharge": {k.name: e.surcharge[m, i, t] / hours for m, k in enumerate(s.footprints)},
                    "capacity": e.capacity_price[i, t] / hours,
                    "demand_price": e.demand_price[j, t] / hours,
                    "reduced_cost": e.reduced_cost[pair, t] / hours,
                    "next_best": s.regions[other[t]] if other[t] >= 0 else None,
                    "next_best_price": price[t] / hours,
                }
                for t in chosen.slots
            ]
    return rows


def best_hours(explanation: Explanation, region: int, slots: Array) -> list[tuple[str, float]]:
    """The slots in which one more MW in `region` is worth most, with USD each; none where it is worthless."""
    worth = explanation.capacity_price[region, slots]
    order = np.argsort(-worth, kind="stable")[:BEST_HOURS]
    return [(f"{explanation.scenario.times[slots[n]]}Z", float(worth[n])) for n in order if worth[n] > 0.0]


def as_dict(explanation: Explanation, chosen: Selection) -> dict[str, Any]:
    """The object that ``eglb explain --json`` prints."""
    e, s = explanation, explanation.scenario
    regions, gateways = region_rows(e, chosen), gateway_rows(e, chosen)
    if chosen.gateway is not None and not gateways:  # the region is out of its reach
        gateways = gateway_rows(e, replace(chosen, region=None))
    if chosen.region is not None:
        regions = [row for row in regions if row.region == s.regions[chosen.region]]
    position = {name: i for i, name in enumerate(s.regions)}
    told = {
        "scenario": s.name,
        "algorithm": e.algorithm,
        "missing": list(e.missing),
        "objective": e.audit.objective,
        "lower_bound": e.audit.lower_bound,
        "gap": e.audit.gap,
        "gap_usd": {**_parts(e), "residual": e.slackness.residual},
        "region": None if chosen.region is None else s.regions[chosen.region],
        "gateway": None if chosen.gateway is None else s.gateways[chosen.gateway],
        "time_utc": None if chosen.hour is None else f"{s.times[chosen.hour]}Z",
        "prices_in": "USD per MWh of IT energy",
        "equity": {
            k.name: {
                "weight": k.weight,
                "unit": k.unit,
                "price": dict(zip(s.regions, prices.tolist(), strict=True)),
            }
            for k, prices in zip(s.footprints, e.equity_price, strict=True)
        },
        "regions": [
            {
                **asdict(row),
                "best_hours": [
                    {"time_utc": time, "usd_per_mw": worth}
                    for time, worth in best_hours(e, position[row.region], chosen.slots)
                ],
            }
            for row in regions
        ],
        "gateways": [asdict(row) for row in gateways],
    }
    if not chosen.whole:
        told["pairs"] = pair_rows(e, chosen)
    return dict(plain(told))


def _parts(e: Explanation) -> dict[str, Any]:
    """The parts of the gap; those of work only where there are jobs."""
    parts = asdict(e.slackness)
    return parts if e.scenario.jobs is not None else {k: v for k, v in parts.items() if k != "work"}


class _Mean:
    """Mean price in USD per MWh of prices (S,) in USD per MW-slot, weighted by `demand` (S,)."""

    def __init__(self, demand: Array, slot_hours: float) -> None:
        total = demand.sum()
        self.weight = demand / total if total > 0.0 else np.full(len(demand), 1.0 / max(1, len(demand)))
        self._hours = slot_hours

    def __call__(self, price: Array) -> float:
        return float(price @ self.weight) / self._hours


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0.0 else 0.0


def _reach_worth(e: Explanation, gateway: int, slots: Array, mean: _Mean) -> tuple[dict[str, Any], ...]:
    s = e.scenario
    saving = e.reach_worth(gateway)[:, slots]
    each = saving.sum(axis=1)
    best = [i for i in np.argsort(-each, kind="stable")[:BEST_REGIONS] if each[i] > 0.0]
    return tuple(
        {
            "region": s.regions[i],
            "saving_per_mwh": mean(saving[i]),
            "usd_per_mw": float(each[i]),
            "usd_at_most": float(saving[i] @ s.demand[gateway, slots]),
        }
        for i in best
    )


def _kept_out(e: Explanation, slots: Array) -> Array:
    """(N,) whether some gateway that does not reach a region would save more there than the gap of these
    slots.
    """
    kept = np.zeros(len(e.scenario.regions), dtype=bool)
    certain = max(e.slackness.gap, 0.0) * len(slots) / e.scenario.slots
    if len(e.scenario.reach_region) < len(e.scenario.regions) * len(e.scenario.gateways):
        for j in range(len(e.scenario.gateways)):
            kept |= e.reach_worth(j)[:, slots] @ e.scenario.demand[j, slots] > certain
    return kept


def _reasons(row: RegionRow, kept_out: bool, paid: float) -> tuple[str, ...]:
    """What binds a region: its footprints, its capacity, its reach; or else what makes it idle.

    `kept_out` is whether gateways out of reach would save by reaching it; `paid` what the fleet pays per MWh.
    """
    binds = [f"{kind} {share:.0%}" for kind, share in row.equity_share.items() if share >= 0.005]
    if row.capacity > 0.0 and row.full_hours > 0.0:
        binds.append("full")
    if kept_out:
        binds.append("reach")
    if not binds and row.share < SERVES:
        parts = {"energy": row.energy, **row.surcharge}
        binds.append("dear " + ("energy" if row.energy > paid else max(parts, key=parts.__getitem__)))
    return tuple(binds)


# A region counts as serving a gateway from this share of its demand on.
SERVES = 1e-3
