"""Results as people read them: tables for a terminal, and the same as HTML for a notebook."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from eglb.foundation.arrays import Array
from eglb.foundation.console import REGION_ROWS, borderless_table, rows_table
from eglb.foundation.numbers import amount, bar, byte_count, dollars, duration, small
from eglb.planning.audit import FootprintTotals, shaped
from eglb.planning.lost_regions import member_lines

if TYPE_CHECKING:
    from eglb.planning.solution import Solution
    from eglb.scenarios.scenario import Scenario


def worst_regions(
    scenario: Scenario, footprints: Mapping[str, FootprintTotals]
) -> dict[str, tuple[str, float]]:
    """By kind: the region whose weighted total is the largest, and that weighted total."""
    worst = {}
    for kind in scenario.footprints:
        by_region = footprints[kind.name].by_region
        weighted = [
            float(weight) * by_region[region]
            for region, weight in zip(scenario.regions, kind.region_weight, strict=True)
        ]
        index = max(range(len(weighted)), key=weighted.__getitem__)
        worst[kind.name] = (scenario.regions[index], weighted[index])
    return worst


def equity_rows(scenario: Scenario, footprints: Mapping[str, FootprintTotals]) -> list[tuple[str, str, str]]:
    """(label, amount, remark) of every kind's equity term, if footprints add up over the whole horizon."""
    rows = []
    for kind in scenario.footprints:
        region, _ = worst_regions(scenario, footprints)[kind.name]
        totals = np.array([footprints[kind.name].by_region[name] for name in scenario.regions])
        priced = shaped(kind.shape, np.asarray(kind.region_weight) * totals)
        what = {"max": "", "lq": f" (L{kind.shape.parameter} norm of all)"}.get(
            kind.shape.family, f" (mean of the {kind.shape.parameter} worst)"
        )
        remark = f"{kind.weight:g} USD/{kind.unit} x {amount(priced, kind.unit)}{what}, worst: {region}"
        rows.append((f"{kind.name.capitalize()} equity", dollars(kind.weight * priced), remark))
    return rows


def cost_rows(solution: Solution) -> list[tuple[str, str, str]]:
    """(label, amount, remark): what the objective is made of, and what certifies it."""
    audit = solution.audit
    rows = [("Energy cost", dollars(audit.energy_cost_usd), "")]
    rows += equity_rows(solution.scenario, audit.footprints)
    rows.append(("Objective", dollars(audit.objective), f"certified gap {small(max(audit.gap, 0.0))}"))
    whose = " of the regions that are left" if solution.out else ""
    rows.append(("Lower bound", dollars(audit.lower_bound), f"no plan{whose} can cost less"))
    return rows


def job_rows(solution: Solution) -> list[tuple[str, str, str]]:
    """(label, amount, remark): how much work waits, and what became of it; nothing without jobs."""
    jobs = solution.job_measures()
    return [] if jobs is None else [("Jobs", amount(jobs.energy_mwh, "MWh"), str(jobs))]


def effort_lines(solution: Solution) -> list[str]:
    """How the plan was reached: rounds, actors, bytes; seconds, memory and how well it meets its limits."""
    if solution.actors:
        actors = f"{solution.actors} actor{'s' * (solution.actors != 1)} ({solution.address})"
    else:
        actors = solution.address
    broken = max(solution.audit.violations.values(), default=0.0)
    lines = [
        f"{solution.rounds} rounds · {actors} · "
        f"{byte_count(solution.bytes_up)} up, {byte_count(solution.bytes_down)} down",
        f"{duration(solution.seconds_solve)} solve, {duration(solution.seconds_start)} start · "
        f"{solution.peak_rss_mb:,.0f} MB peak · largest violation {small(broken)} MW",
    ]
    if (network := solution.network) is not None:
        lines.append(
            f"{duration(solution.seconds_network)} expected for messages on a wide-area network · "
            f"coordinator {network.coordinator}, {network.rtt_ms.max():.0f} ms at most"
        )
    return lines


def signal_line(scenario: Scenario) -> str:
    """What kind of signal each footprint is, where that is known."""
    known = [f"{kind.name} {kind.signal}" for kind in scenario.footprints if kind.signal]
    return f"Signals: {'; '.join(known)}" if known else ""


def shown_regions(footprints: Mapping[str, FootprintTotals], limit: int = REGION_ROWS) -> list[str]:
    """The regions to show, worst first: by the largest share a total of theirs has of its kind's maximum."""
    shares: dict[str, float] = {}
    for totals in footprints.values():
        for region, total in totals.by_region.items():
            share = total / totals.max if totals.max > 0 else 0.0
            shares[region] = max(shares.get(region, 0.0), share)
    return sorted(shares, key=lambda region: -shares[region])[:limit]


def solution_table(solution: Solution, width: int, ascii_only: bool = False) -> Iterator[RenderableType]:
    """The plan's parts for a terminal `width` columns wide: heading, costs, footprints by region, effort."""
    scenario = solution.scenario
    good = solution.converged
    heading = Text.assemble(
        (scenario.name, "bold"),
        f"  {len(scenario.regions)} regions, {len(scenario.gateways)} gateways, {scenario.slots} slots"
        f"  {solution.algorithm}  ",
        (solution.status.replace("_", " "), "bold green" if good else "bold yellow"),
    )
    yield heading
    missing = member_lines(**solution.membership())
    if not good and solution.status != "shortfall":  # what that means stands in its lines
        yield Text(STATUS_MEANING[solution.status], style="yellow")
    for line in missing:
        yield Text(line, style="yellow")

    yield Padding(rows_table(cost_rows(solution) + job_rows(solution)), (1, 0))

    if solution.audit.footprints:
        shown = region_table(solution.scenario, solution.audit.footprints, solution.load, width, ascii_only)
        yield Padding(shown, (0, 0, 1, 0))
    if signals := signal_line(scenario):
        yield Text(signals, style="dim")
    for line in effort_lines(solution):
        yield Text(line.replace("·", "-") if ascii_only else line, style="dim")


def region_table(
    scenario: Scenario,
    footprints: Mapping[str, FootprintTotals],
    load: Array,
    width: int,
    ascii_only: bool = False,
) -> RenderableType:
    """Energy and footprints by region under `load` (N, T), worst first, in `width` columns."""
    regions = shown_regions(footprints)
    worst = {kind: region for kind, (region, _) in worst_regions(scenario, footprints).items()}
    energy = load.sum(axis=1) * scenario.slot_hours
    served = dict(zip(scenario.regions, energy.tolist(), strict=True))
    left_out = len(scenario.regions) - len(regions)
    last_row = f"{left_out} more regions" if left_out else "all regions"

    texts = {kind: [amount(totals.total), f"{kind} {totals.unit}"] for kind, totals in footprints.items()}
    taken = max(map(len, [*regions, last_row])) + max(len(amount(float(energy.sum()))), 6) + 6
    taken += sum(max(map(len, column)) + 6 for column in texts.values())
    # Below a dozen characters a bar says nothing: then the mark alone stays, beside the number.
    room = min(28, (width - taken) // len(footprints))
    bars = room >= 12

    table = borderless_table()
    table.show_footer = True
    table.add_column("Region", Text(last_row, style="dim"), no_wrap=True)
    table.add_column("IT MWh", amount(sum(served.values())), justify="right", no_wrap=True)
    for kind, totals in footprints.items():
        table.add_column(f"{kind} {totals.unit}", amount(totals.total), justify="right", no_wrap=True)
        par = f"max/avg {totals.par:.2f}" if math.isfinite(totals.par) and bars else ""
        table.add_column("", par, width=room if bars else 1, no_wrap=True)
    for region in regions:
        cells: list[RenderableType] = [region, amount(served[region], like=sum(served.values()))]
        for kind, totals in footprints.items():
            value = totals.by_region[region]
            style = "bold red" if region == worst[kind] else ""
            share = value / totals.max if totals.max > 0 else 0.0
            mark = ("<" if ascii_only else "◀") if region == worst[kind] else ""
            drawn = bar(share, room - 2, ascii_only) if bars else ""
            cells.append(Text(amount(value, like=totals.total), style=style))
            cells.append(Text(f"{drawn} {mark}".strip(), style=style or "cyan"))
        table.add_row(*cells)
    return table


def solution_html(solution: Solution) -> str:
    """The plan as one HTML fragment, styles inline, nothing loaded from elsewhere."""
    scenario = solution.scenario
    rows = "".join(
        f"<tr><td style='text-align:left'>{escape(label)}</td>"
        f"<td style='text-align:right'>{escape(value)}</td>"
        f"<td style='text-align:left;opacity:.7'>{escape(remark)}</td></tr>"
        for label, value, remark in cost_rows(solution) + job_rows(solution)
    )
    footprints = solution.audit.footprints
    worst = {kind: region for kind, (region, _) in worst_regions(scenario, footprints).items()}
    head = "".join(
        f"<th style='text-align:left' colspan=2>{escape(f'{kind}, {totals.unit}')}</th>"
        for kind, totals in footprints.items()
    )
    body = ""
    for region in shown_regions(footprints):
        body += f"<tr><td style='text-align:left'>{escape(region)}</td>"
        for kind, totals in footprints.items():
            share = 100 * totals.by_region[region] / totals.max if totals.max > 0 else 0.0
            colour = "#c0392b" if worst[kind] == region else "#2980b9"
            body += (
                f"<td style='text-align:right'>{amount(totals.by_region[region])}</td><td style='width:9em'>"
                f"<div style='background:{colour};height:.7em;width:{share:.1f}%'></div></td>"
            )
        body += "</tr>"
    notes = [
        *member_lines(**solution.membership()),
        *filter(None, [signal_line(scenario)]),
        *effort_lines(solution),
    ]
    effort = "<br>".join(escape(line) for line in notes)
    return (
        f"<div><b>{escape(scenario.name)}</b> · {escape(solution.algorithm)} · {escape(solution.status)}"
        f"<table>{rows}</table>"
        + (f"<table><tr><th>region</th>{head}</tr>{body}</table>" if footprints else "")
        + f"<small>{effort}</small></div>"
    )


# What each status of a solve means for whoever reads it.
STATUS_MEANING = {
    "converged": "the certified gap is at most the gap asked for",
    "round_limit": "stopped at the round limit; the plan is feasible, its gap certified: allow more rounds",
    "time_limit": "stopped at the time limit; the plan is feasible, its gap certified: allow more time",
    "shortfall": "some demand cannot be met without the regions that are missing; as little as possible is "
    "left out",
    "stalled": "no more progress; the plan is feasible, its gap certified: try another algorithm",
}
