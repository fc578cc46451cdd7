"""An explanation as people read it: sentences first, then what they rest on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from eglb.foundation.console import REGION_ROWS
from eglb.foundation.numbers import amount, small
from eglb.planning.explanation.prices import energy_price
from eglb.planning.explanation.rows import RegionRow, Selection, best_hours, gateway_rows, region_rows
from eglb.planning.explanation.words import minute, price_cell, ruled, sentences

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from eglb.planning.explanation.explanation import Explanation


# Regions named in one sentence.
NAMES_SHOWN = 8
# Characters below which a column of words is not worth its room.
NARROWEST = 11
# Regions named in one cell.
NAMES_IN_CELL = 4


@dataclass(frozen=True, eq=False)
class ExplanationView:
    """What is selected of an explanation, for a terminal: sentences, prices by region, prices by gateway."""

    explanation: Explanation
    chosen: Selection

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        e, chosen = self.explanation, self.chosen
        regions = region_rows(e, chosen)
        yield Text.assemble((e.scenario.name, "bold"), f"  {_what(e, chosen)}")
        for line in e.missing:
            yield Text(line, style="yellow")
        yield Padding(sentences(_said(e, chosen, regions)), (1, 0))
        if chosen.region is None or chosen.gateway is not None:
            yield from _region_table(e, chosen, regions, options.max_width)
        if chosen.gateway is None and not chosen.whole:
            yield from _gateway_table(e, chosen)


def _what(e: Explanation, chosen: Selection) -> str:
    s = e.scenario
    if chosen.whole:
        sizes = f"{len(s.regions)} regions, {len(s.gateways)} gateways, {s.slots} slots"
        return f"{sizes}  {e.algorithm}"
    places = [] if chosen.region is None else [f"region {s.regions[chosen.region]}"]
    places += [] if chosen.gateway is None else [f"gateway {s.gateways[chosen.gateway]}"]
    if chosen.hour is None:
        when = f"all {s.slots} slots"
    else:
        when = f"{str(s.times[chosen.hour])[:16].replace('T', ' ')} UTC (slot {chosen.hour} of {s.slots})"
    return ", ".join([*places, when])


def _said(e: Explanation, chosen: Selection, regions: list[RegionRow]) -> list[tuple[str, str]]:
    """(about, sentence) in plain English."""
    if chosen.gateway is not None:
        return _said_of_gateway(e, chosen, regions)
    if chosen.region is not None:
        return _said_of_region(e, chosen, regions[chosen.region])
    lines = [] if chosen.hour is not None else _said_of_equity(e)
    lines.append(("Capacity", _said_of_capacity(e, chosen, regions)))
    lines.append(("Reach", _said_of_reach(e, chosen)))
    if chosen.hour is None and e.scenario.jobs is not None:
        pass

        lines += said_of_jobs(e)
    if chosen.hour is None:
        lines.append(("Gap", _said_of_gap(e)))
    return lines


def _said_of_equity(e: Explanation) -> list[tuple[str, str]]:
    lines = []
    for kind, shares in zip(e.scenario.footprints, e.equity_share(), strict=True):
        price = f"the price of inequity, {kind.weight:g} USD/{kind.unit}"
        order = [i for i in sorted(range(len(shares)), key=lambda i: -shares[i]) if shares[i] >= 0.005]
        named = [e.scenario.regions[i] for i in order]
        if kind.weight == 0.0 or not order:
            said = "has no weight, so it moves no load"
        elif len(order) == 1:
            said = f"{named[0]} is worst off and bears all of {price}"
        else:
            parts = [f"{e.scenario.regions[i]} {shares[i]:.0%}" for i in order[:NAMES_SHOWN]]
            rest = f" and {len(order) - NAMES_SHOWN} more" if len(order) > NAMES_SHOWN else ""
            who = "share" if kind.shape.family == "lq" else "are worst off and share"
            said = f"{', '.join(parts)}{rest} {who} {price}"
        lines.append((kind.name.capitalize(), said))
    return lines


def _said_of_capacity(e: Explanation, chosen: Selection, regions: list[RegionRow]) -> str:
    best = max(regions, key=lambda row: row.capacity_worth)
    if best.capacity_worth <= 0.0:
        return "no region is short of it"
    if chosen.hour is not None:
        return f"one MW more is worth most in {best.region}: {amount(best.capacity_worth)} USD in this slot"
    total = e.scenario.slots * e.scenario.slot_hours
    return (
        f"one MW more is worth most in {best.region}: {amount(best.capacity_worth)} USD over the horizon; "
        f"it has no room left in {best.full_hours:g} of {total:g} h"
    )


def _said_of_reach(e: Explanation, chosen: Selection) -> str:
    s = e.scenario
    if len(s.reach_region) == len(s.regions) * len(s.gateways):
        return "every gateway reaches every region"
    found = [(row.gateway, row.reach_worth[0]) for row in gateway_rows(e, chosen) if row.reach_worth]
    if not found:
        return "no gateway would save by reaching another region"
    gateway, best = max(found, key=lambda pair: float(pair[1]["usd_per_mw"]))
    return f"one region more is worth most to {gateway}: {_saving(best)}"


def _saving(best: dict[str, float | str]) -> str:
    return (
        f"{best['region']} would save {amount(float(best['saving_per_mwh']))} USD/MWh, "
        f"at most {amount(float(best['usd_at_most']))} USD in all"
    )


def _said_of_gap(e: Explanation) -> str:
    parts = e.slackness
    terms = [
        (parts.routing, "for load that is not where it is cheapest"),
        (parts.capacity, "for idle capacity that has a price"),
    ]
    terms += [(value, f"for {kind} equity priced off the mark") for kind, value in parts.equity.items()]
    terms += [(value, f"for work done in a dearer {where}") for where, value in parts.work.items()]
    terms.append((parts.sharpened, "that sharper prices prove away already"))
    shown = [f"{amount(value)} {what}" for value, what in terms if value >= 0.005 * parts.gap]
    whole = f"at most {amount(parts.gap)} USD ({small(max(e.audit.gap, 0.0))}) above the best plan"
    return f"{whole}: {', '.join(shown)}" if parts.gap > 0.005 else whole


def _said_of_region(e: Explanation, chosen: Selection, row: RegionRow) -> list[tuple[str, str]]:
    horizon = "in this slot" if chosen.hour is not None else "over the horizon"
    load = f"{amount(row.served_mwh)} MWh, {row.share:.1%} of all; {row.use:.1%} of its capacity"
    if chosen.hour is None:
        load += f", no room left in {row.full_hours:g} of {len(chosen.slots) * e.scenario.slot_hours:g} h"
    worth = f"one MW more would save {amount(row.capacity_worth)} USD {horizon}"
    best = best_hours(e, chosen.region or 0, chosen.slots)
    if best and chosen.hour is None:
        worth += "; most at " + ", ".join(f"{minute(time)} ({amount(usd)})" for time, usd in best)
    lines = [("Load", load), ("Price", f"{_sum(row)} USD/MWh"), ("Capacity", worth)]
    return [*lines, ("Bound by", ", ".join(row.binds) or "its price alone")]


def _said_of_gateway(e: Explanation, chosen: Selection, regions: list[RegionRow]) -> list[tuple[str, str]]:
    (row,) = gateway_rows(e, Selection(chosen.slots, None, chosen.hour, chosen.gateway))
    served = ", ".join(f"{region} {share:.0%}" for region, share in list(row.served_by.items())[:NAMES_SHOWN])
    lines = [
        ("Demand", f"{amount(row.demand_mwh)} MWh at {amount(row.demand_price)} USD/MWh"),
        ("Served by", served or "nobody, as it asks for nothing"),
    ]
    if row.next_best is None:
        lines.append(("Next best", "no other region in reach"))
    else:
        extra = amount(row.next_best_extra or 0.0)
        lines.append(("Next best", f"{row.next_best}, {extra} USD/MWh dearer"))
    if chosen.region is not None:
        name = e.scenario.regions[chosen.region]
        here = [line for line in regions if line.region == name]
        said = f"{_sum(here[0])} USD/MWh, {_against(here[0])}" if here else "out of reach"
        lines.append((name, said))
    if len(regions) < len(e.scenario.regions):
        worth = "; ".join(_saving(best) for best in row.reach_worth)
        lines.append(("Out of reach", worth or "no region that would save anything"))
    return lines


def _against(row: RegionRow) -> str:
    return f"{amount(row.reduced_cost or 0.0)} above what it pays"


def _sum(row: RegionRow) -> str:
    """``61.20 = energy 41.20 + water 20.00``, parts of nothing left out."""
    parts = {"energy": row.energy, **row.surcharge, "capacity": row.capacity}
    shown = [
        f"{what} {amount(value)}" for what, value in parts.items() if round(value, 4) or what == "energy"
    ]
    return f"{amount(row.full_price)} = {' + '.join(shown)}"


def _region_table(
    e: Explanation, chosen: Selection, regions: list[RegionRow], width: int
) -> Iterator[RenderableType]:
    gateway, whole = chosen.gateway is not None, chosen.hour is None
    shown = sorted(regions, key=lambda row: row.full_price if gateway else -row.share)[:REGION_ROWS]
    heads = ["\nRegion", "\nload", "\nenergy", *(f"\n{kind.name}" for kind in e.scenario.footprints)]
    heads += ["\ncapacity", "full\nprice"]
    heads += ["demand\nprice", "reduced\ncost"] if gateway else ["hours\nfull" if whole else "\nin use"]
    rows = []
    for row in shown:
        prices = [row.energy, *row.surcharge.values(), row.capacity, row.full_price]
        rows.append([row.region, f"{row.share:.1%}", *map(price_cell, prices)])
        if gateway:
            rows[-1] += [price_cell(row.demand_price or 0.0), price_cell(row.reduced_cost or 0.0)]
        else:
            rows[-1].append(f"{row.full_hours:g}" if whole else f"{row.use:.0%}")
    # What there is room for beside: what binds each region, and before it what one MW more is worth.
    worths = ["1 MW\nmore, USD", *(amount(row.capacity_worth) for row in shown)]
    columns = list(zip(heads, *rows, strict=True))
    room = width - sum(map(_column_width, columns))
    bound = not gateway and room >= NARROWEST
    if bound and room - _column_width(worths) >= 2 * NARROWEST:
        columns.append(tuple(worths))
    table = ruled()
    for n, column in enumerate(columns):
        table.add_column(column[0], justify="right" if n else "left", no_wrap=True)
    if bound:
        table.add_column("\nbound by", overflow="fold")
    for n, row in enumerate(shown):
        cells = [column[n + 1] for column in columns] + ([", ".join(row.binds)] if bound else [])
        here = chosen.region is not None and row.region == e.scenario.regions[chosen.region]
        table.add_row(*cells, style="bold" if here else "" if row.share > 0.0 else "dim")
    yield table
    more = f"{len(regions) - len(shown)} more regions. " if len(regions) > len(shown) else ""
    weighted = ", means weighted by demand" if whole else ""
    yield Text(f"{more}Prices in USD per MWh of IT energy{weighted}.", style="dim")
    if bound:
        meaning = (
            "Bound by: the part it bears of the price of inequity; full: its capacity; reach: gateways that "
            "would save there do not reach it."
        )
        yield Text(meaning, style="dim")


def _column_width(cells: Sequence[str]) -> int:
    """Characters that a column takes, its gap included."""
    return 1 + max(len(line) for cell in cells for line in cell.split("\n"))


def _gateway_table(e: Explanation, chosen: Selection) -> Iterator[RenderableType]:
    rows = gateway_rows(e, chosen)
    shown = sorted(rows, key=lambda row: -row.demand_mwh)[:REGION_ROWS]
    here = None if chosen.region is None else e.scenario.regions[chosen.region]
    table = ruled()
    table.add_column("\nGateway", no_wrap=True)
    table.add_column("demand\nMWh", justify="right", no_wrap=True)
    table.add_column("demand\nprice", justify="right", no_wrap=True)
    if here is None:
        table.add_column("\nserved by", overflow="fold")
    else:
        table.add_column("served\nhere", justify="right", no_wrap=True)
        table.add_column("reduced\ncost", justify="right", no_wrap=True)
    table.add_column("\nnext best", no_wrap=True)
    table.add_column("dearer\nby", justify="right", no_wrap=True)
    for row in shown:
        cells = [row.gateway, amount(row.demand_mwh), price_cell(row.demand_price)]
        if here is None:
            names = [f"{name} {share:.0%}" for name, share in row.served_by.items()]
            rest = len(names) - NAMES_IN_CELL
            cells.append(", ".join(names[:NAMES_IN_CELL]) + (f" and {rest} more" if rest > 0 else ""))
        else:
            cells += [f"{row.served_by.get(here, 0.0):.1%}", price_cell(row.reduced_cost or 0.0)]
        cells += (
            ["-", "-"] if row.next_best is None else [row.next_best, price_cell(row.next_best_extra or 0.0)]
        )
        table.add_row(*cells)
    yield Padding(table, (0 if here else 1, 0, 0, 0))
    more = f"{len(rows) - len(shown)} more gateways. " if len(rows) > len(shown) else ""
    if here is not None:
        more += "Next best: what the load here would have cost elsewhere. "
    yield Text(f"{more}Prices in USD per MWh of IT energy.", style="dim")


def said_of_jobs(explanation: Explanation) -> list[tuple[str, str]]:
    """What all jobs pay, in a sentence; nothing without jobs."""
    e = explanation
    if (jobs := e.scenario.jobs) is None or e.work_price is None:
        return []
    price = energy_price(e.scenario, jobs, e.work_price) / e.scenario.slot_hours
    mean = float(price @ jobs.energy_mwh) / float(jobs.energy_mwh.sum())
    dearest, cheapest = int(price.argmax()), int(price.argmin())
    said = (
        f"{len(jobs):,} of them pay {amount(mean)} USD/MWh on average, from {amount(price[cheapest])} "
        f"({jobs.names[cheapest]}) to {amount(price[dearest])} ({jobs.names[dearest]}); --job NAME says why"
    )
    return [("Jobs", said)]
