"""The sections of a report: a figure or two, what to see in them, and the numbers as tables."""

from __future__ import annotations

import math

import numpy as np

from eglb.foundation.numbers import amount, byte_count, duration, small
from eglb.planning.audit import plan_objective
from eglb.planning.lost_regions import member_lines
from eglb.report import bars, convergence, hours, timeseries, world
from eglb.report.inputs import Material
from eglb.report.job_sections import coordination_section, job_section
from eglb.report.markup import (
    Section,
    bands_legend,
    bars_legend,
    change,
    choice,
    folded,
    frame,
    lines_legend,
    table,
    text,
)
from eglb.report.style import Spec

TABLE_ROWS = 40


def sections(material: Material) -> list[Section]:
    """What this folder has something to show for, in the order of reading."""
    missing = member_lines(material.run.get("members", {}), material.run.get("shortfall", {}))
    found = [_members(material, missing)] if missing else []
    found += [_sweep(material)] if material.command == "sweep" else []
    found += [coordination_section(material)] if "schedulings" in material.run else []
    found += [_map(material), _footprints(material)]
    if material.policies:
        found.append(_policies(material))
    if material.points and material.command != "sweep":
        found.append(_sweep(material))
    found.append(_hourly(material))
    found += [job_section(material)] if material.plan.work is not None else []
    if material.command == "simulate":
        found.append(_course(material))
    if convergence.solver_names(material):
        found.append(_convergence(material))
    members = material.run.get("members", {})
    if not missing and (members.get("events") or members.get("rejected")):
        found.append(_members(material, ["All regions took part in the end; not all of them all the time."]))
    return found


def _members(material: Material, said: list[str]) -> Section:
    """Who was missing, and what came of it."""
    members = material.run["members"]
    events, rejected = members["events"], members["rejected"]
    body = "".join(f"<p>{text(line)}</p>" for line in said)
    if material.run["shortfall"]["worst"]:
        worst = material.run["shortfall"]["worst"]
        body += (
            f"<p>{text(amount(worst['mw'], 'MW'))} are missing in slot {worst['slot']} "
            f"({text(worst['time_utc'])}), where most are; {text(worst['gateway'])} misses most of it.</p>"
        )
    if any(event["round"] for event in events):  # else it is said already
        rows = [
            [
                f"round {event['round']:,}",
                text(", ".join(event["regions"])),
                text(event["what"]),
                text(event["reason"]),
            ]
            for event in events[-TABLE_ROWS:]
        ]
        cut = f"; the last {TABLE_ROWS} of {len(events):,}" if len(events) > TABLE_ROWS else ""
        body += table(f"Members{cut}", ["", "regions", "what", "why"], rows, words=True)
    if rejected:
        counts = [[text(name), text(_counted(what))] for name, what in rejected.items()]
        body += folded(
            "Answers that were not used",
            table("By region", ["region", "how many"], counts[:TABLE_ROWS], words=True),
        )
    return Section("Regions that were missing", body, {})


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items())


def _map(material: Material) -> Section:
    scenario = material.scenario
    pairs, share = world.far_flows(material)
    themes = world.themes(material)
    said = ["Circles are regions, their area what they carry over the horizon; diamonds are gateways."]
    if len(scenario.regions) > world.CIRCLES:
        said.append(f"The {world.CIRCLES} largest of {len(scenario.regions):,} regions are shown.")
    if len(pairs):
        said.append(
            f"Lines run from gateway to region, as wide as the energy sent: the {len(pairs)} largest flows, "
            f"{100 * share:.0f} % of all that is served elsewhere than where it was asked for."
        )
    else:
        said.append("Everything is served where it was asked for.")
    body = f"<p>{text(' '.join(said))}</p>"
    body += choice("map.shown", "Area:", [(field, name) for field, name, _ in themes])
    body += frame("map", "", f"World map of {len(scenario.regions)} regions and the flows to them", wide=True)
    return Section(
        "Where load goes",
        body + folded("Regions as a table", _region_table(material)),
        {"map": world.world(material)},
    )


def _region_table(material: Material) -> str:
    scenario, plan = material.scenario, material.plan
    served = plan.served(scenario.slot_hours)
    cost = (scenario.price_per_mw_slot() * plan.load).sum(axis=1)
    room = scenario.capacity.sum(axis=1) * scenario.slot_hours
    order = sorted(range(len(scenario.regions)), key=lambda region: -served[region])
    rows = []
    for region in order[:TABLE_ROWS]:
        name = scenario.regions[region]
        totals = [
            amount(plan.footprints[kind.name].by_region[name], like=plan.footprints[kind.name].max)
            for kind in scenario.footprints
        ]
        full = f"{100 * served[region] / room[region]:.0f} %" if room[region] > 0 else "-"
        rows.append(
            [
                text(name),
                amount(float(served[region]), like=float(served.max())),
                full,
                amount(float(cost[region]), like=float(abs(cost).max())),
                *totals,
            ]
        )
    head = ["region", "IT energy\nMWh", "of capacity", "energy cost\nUSD"]
    head += [f"{kind.name}\n{kind.unit}" for kind in scenario.footprints]
    cut = f"; the {TABLE_ROWS} largest of {len(order):,}" if len(order) > TABLE_ROWS else ""
    return table(f"Regions by energy served over the horizon{cut}", head, rows)


def _footprints(material: Material) -> Section:
    scenario, plan = material.scenario, material.plan
    beside = bars.beside(material)
    said = (
        "Total over the horizon, unweighted, largest first; the region that weighs most in the equity term "
        "stands out."
    )
    more = len(scenario.regions) - bars.shown(material)
    if more > 0:
        said += f" The {bars.BARS} largest of {len(scenario.regions):,} regions; the others have less."
    frames: list[str] = []
    specs: dict[str, Spec] = {}
    for place, kind in enumerate(scenario.footprints):
        name = f"footprint-{place}"
        totals = plan.footprints[kind.name]
        specs[name] = bars.footprints(material, place)
        extent = f"at most {amount(totals.max, kind.unit)}, {amount(totals.avg, kind.unit)} on average"
        describe = f"{kind.name} by region: {extent}"
        legend = bars_legend(bars.colour_of(place), beside)
        frames.append(frame(name, f"{kind.name.capitalize()}, {kind.unit}", describe, legend=legend))
    return Section(
        "Footprint by region", f'<p>{said}</p><div class="figures two">{"".join(frames)}</div>', specs
    )


def _policies(material: Material) -> Section:
    scenario, plan = material.scenario, material.plan
    objective = plan_objective(scenario, plan.load)
    head = ["policy", "energy cost\nUSD", "objective\nUSD"]
    for kind in scenario.footprints:
        head += [
            f"{kind.name} total\n{kind.unit}",
            f"{kind.name} worst\n{kind.unit}",
            f"{kind.name}\nmax/avg",
        ]
    rows = []
    for policy in material.policies:
        cells = [text(policy.name), amount(policy.energy_cost_usd), amount(policy.objective)]
        for kind in scenario.footprints:
            totals = policy.footprints[kind.name]
            par = totals["par"]
            cells += [
                amount(totals["total"], like=totals["total"]),
                amount(totals["max"]),
                "-" if par is None or math.isnan(par) else f"{par:.2f}",
            ]
        rows.append(cells)
    bold = [index for index, policy in enumerate(material.policies) if policy.name == "eGLB-Off"]
    if material.command != "compare":
        cells = ["this plan", amount(plan.energy_cost_usd), amount(objective)]
        for kind in scenario.footprints:
            found = plan.footprints[kind.name]
            par_text = "-" if math.isnan(found.par) else f"{found.par:.2f}"
            cells += [amount(found.total), amount(found.max), par_text]
        rows.append(cells)
        bold = [len(rows) - 1]
    said = (
        "The usual policies minimise energy cost, distance or a fleet's total footprint; none looks at the "
        "region that carries most."
    )
    return Section(
        "Against the usual policies",
        f"<p>{said}</p>" + table("What each policy costs over the horizon", head, rows, bold=bold),
        {},
    )


def _hourly(material: Material) -> Section:
    scenario, bands = material.scenario, hours.stack(material)
    said = "IT power served, stacked; the legend is in the order of the stack, steady regions below."
    if bands.rest:
        said += f" The {len(bands.names) - 1} largest regions apart, all others together."
    elif len(bands.names) < len(scenario.regions):
        said = f"IT power served by all {len(scenario.regions):,} regions, stacked by longitude."
    if (step := hours.slots_a_step(scenario.slots)) > 1:
        said += f" Means over {step} slots."
    colours = [hours.fill(bands, band) for band in range(len(bands.names))]
    legend = bands_legend(list(zip(colours, bands.names, strict=True))[::-1])
    described = f"Stacked areas of the load of {len(bands.names)} bands over time"
    spans = [("b", "each hour" if scenario.slot_hours == 1 else "each slot"), ("m", "mean of a day")]
    drawn = hours.hourly(material)
    if hours.day_means(material):
        first = drawn["params"][0]["value"]
        spans.sort(key=lambda span: span[0] != first)
        said_choice = choice("hourly.span", "Load of", spans)
    else:
        said_choice = ""
    body = f"<p>{text(said)}</p>{said_choice}" + frame("hourly", "", described, legend=legend, wide=True)
    body += folded("Daily means as a table", _daily(material, bands))
    return Section("Load by region over time", body, {"hourly": drawn})


def _daily(material: Material, bands: hours.Stack) -> str:
    days = material.scenario.times.astype("datetime64[D]")
    names, first = np.unique(days, return_index=True)
    length = np.diff(np.append(first, len(days)))
    means = (np.add.reduceat(bands.load, first, axis=1) / length).T[:TABLE_ROWS]
    largest = float(means.max(initial=0.0))
    rows = [
        [str(day), *(amount(mw, like=largest) for mw in row)]
        for day, row in zip(names.astype(str), means.tolist(), strict=False)
    ]
    cut = f"; the first {TABLE_ROWS} days" if len(names) > TABLE_ROWS else ""
    return table(f"Mean load by day (UTC), MW{cut}", ["day", *bands.names], rows)


def _convergence(material: Material) -> Section:
    names = convergence.solver_names(material)
    specs = {f"gap-{along}": convergence.gap_against(material, along) for along in convergence.ALONG}
    titles = {
        "round": "against rounds",
        "bytes": "against bytes, all agents together",
        "seconds": "against seconds",
    }
    frames = [
        frame(f"gap-{along}", titles[along], f"Certified gap {titles[along]} of {', '.join(names)}")
        for along in convergence.ALONG
    ]
    said = "Certified gap of the best plan so far, on logarithmic axes. Seconds count from the first message."
    if len({row.get("regions_out", 0) for row in material.rounds}) > 1:
        said += (
            " Where it rises, regions were lost or came back: from there on it is that of another problem."
        )
    body = f'<p>{said}</p>{lines_legend(names)}<div class="figures">{"".join(frames)}</div>'
    if material.command == "compare":
        rows = [
            [
                text(row["name"]),
                text(row["status"].replace("_", " ")),
                amount(row["objective"]),
                small(row["gap"]) if row["gap"] is not None else "-",
                small(row["gap_to_central"]) if row["gap_to_central"] is not None else "-",
                f"{row['rounds']:,}",
                byte_count(row["bytes_up"] + row["bytes_down"]),
                duration(row["seconds"]),
            ]
            for row in material.run["solvers"]
        ]
        head = [
            "solver",
            "status",
            "objective\nUSD",
            "certified\ngap",
            "above\ncentral",
            "rounds",
            "bytes",
            "seconds",
        ]
        body += table("Solvers", head, rows)
    return Section(
        "How the plan was reached" if len(names) == 1 else "How each algorithm got there", body, specs
    )


def _sweep(material: Material) -> Section:
    scenario, points = material.scenario, material.points
    frames: list[str] = []
    specs: dict[str, Spec] = {}
    for place, kind in enumerate(scenario.footprints):
        for what, title in (
            ("max", f"{kind.name.capitalize()} of the worst region, {kind.unit}"),
            ("par", f"{kind.name.capitalize()}, max/avg"),
        ):
            name = f"sweep-{place}-{what}"
            specs[name] = timeseries.sweep(material, place, what)
            frames.append(frame(name, title, f"{title} against energy cost along {len(points)} points"))
    head = ["weights times", "energy cost\nUSD", "against\nthe first", "certified\ngap"]
    for kind in scenario.footprints:
        head += [f"{kind.name} worst\n{kind.unit}", f"{kind.name}\nmax/avg"]
    rows = []
    for point in points:
        cells = [
            f"{point['weight_factor']:.4g}" + (" (knee)" if point["knee"] else ""),
            amount(point["energy_cost_usd"]),
            change(points[0]["energy_cost_usd"], point["energy_cost_usd"]),
            small(max(point["gap"], 0.0)) if point["gap"] is not None else "-",
        ]
        for kind in scenario.footprints:
            totals = point["footprints"][kind.name]
            cells += [amount(totals["max"]), "-" if totals["par"] is None else f"{totals['par']:.3f}"]
        rows.append(cells)
    knees = [index for index, point in enumerate(points) if point["knee"]]
    said = (
        "Every point is a certified plan at a multiple of the equity weights, zero first: what less for the "
        "worst region costs in energy. At the knee, more weight begins to buy little."
    )
    body = f'<p>{said}</p><div class="figures two">{"".join(frames)}</div>'
    return Section("What equity costs", body + table("Points of the sweep", head, rows, bold=knees), specs)


def _course(material: Material) -> Section:
    scenario = material.scenario
    frames: list[str] = []
    specs: dict[str, Spec] = {}
    if timeseries.has_certificate(material):
        specs |= {"standing": timeseries.standing(material), "gap-so-far": timeseries.gap(material)}
        legend = lines_legend(["spent so far", "best possible up to now, at least"])
        frames += [
            frame("standing", "Objective so far, USD", "Objective and bound so far over time", legend=legend),
            frame("gap-so-far", "Gap to the best possible up to now", "Gap so far over time"),
        ]
    for place, kind in enumerate(scenario.footprints):
        name = f"growing-{place}"
        specs[name] = timeseries.growing(material, place)
        title = f"{kind.name.capitalize()} so far by region, {kind.unit}"
        frames.append(frame(name, title, title, legend=lines_legend(timeseries.coloured(material, place))))
    said = (
        "In the middle of the period a gap is against the best plan of the slots so far, which a policy that "
        "saves for later need not reach; its end is the grade. The worst regions are drawn in colour, others "
        "in grey."
    )
    return Section(
        "The course of the run", f'<p>{said}</p><div class="figures two">{"".join(frames)}</div>', specs
    )
