"""The sections of a report that are about jobs."""

from __future__ import annotations

import numpy as np

from eglb.foundation.numbers import amount
from eglb.planning.job_totals import measure_jobs, moved_in_space, moved_in_time, work_by_region
from eglb.report import jobs
from eglb.report.inputs import Material
from eglb.report.markup import MINUS, Section, bands_legend, folded, frame, points_legend, table, text

NAMES_IN_CELL = 3


def job_section(material: Material) -> Section:
    """When and where jobs run."""
    s = material.scenario
    all_jobs, work = jobs.jobs_of(material)
    regions, chosen = jobs.shown_regions(material), jobs.shown_jobs(material)
    said = (
        f"{measure_jobs(s, work)}. Moved in time: it runs in another slot than if every job ran at once. In "
        "space: elsewhere than at home or, without one, than in the regions nearest to where it is asked for."
    )
    figures = {"jobs-regions": jobs.by_region(material), "jobs-gantt": jobs.gantt(material)}
    rows_said = "Each row is as high as its region's largest capacity; the line is its capacity"
    if (more := int((jobs.load_of_jobs(material).sum(axis=1) > 0.0).sum()) - len(regions)) > 0:
        rows_said += f"; {more} more regions do less"
    bars = [("var(--other)", "inference"), ("var(--c1)", "jobs")]
    body = f"<p>{text(said)}</p>"
    body += frame(
        "jobs-regions",
        f"Jobs over inference by region. {rows_said}",
        f"Load of jobs over that of inference in {len(regions)} regions over time",
        legend=bands_legend(bars),
        wide=True,
    )
    largest = (
        f"The {len(chosen)} largest of {len(all_jobs):,} jobs" if len(chosen) < len(all_jobs) else "Jobs"
    )
    drawn = work_by_region(s, work)[chosen].sum(axis=0)
    colours: dict[str, str] = {}
    for i, colour in jobs.regions_of_jobs(material):
        if drawn[i] > 0.0:
            colours.setdefault(colour, s.regions[i] if colour != jobs.GREY else "other regions")
    body += frame(
        "jobs-gantt",
        f"{largest}, from release to deadline; a bar as high as its row is the most power",
        f"When and where {len(chosen)} jobs run",
        legend=bands_legend(list(colours.items())),
        wide=True,
    )
    return Section("Jobs that can wait", body + folded("Jobs as a table", _job_table(material)), figures)


def _job_table(material: Material) -> str:
    s, chosen = material.scenario, jobs.shown_jobs(material)
    all_jobs, work = jobs.jobs_of(material)
    done, in_time, in_space = work_by_region(s, work), moved_in_time(s, work), moved_in_space(s, work)
    largest = float(all_jobs.energy_mwh[chosen].max())
    rows = []
    for m in chosen:
        most = [int(i) for i in np.argsort(-done[m], kind="stable") if done[m, i] > 0.0]
        where = ", ".join(f"{s.regions[i]} {done[m, i] / done[m].sum():.0%}" for i in most[:NAMES_IN_CELL])
        more = f" and {len(most) - NAMES_IN_CELL} more" if len(most) > NAMES_IN_CELL else ""
        rows.append(
            [
                text(all_jobs.names[m]),
                amount(float(all_jobs.energy_mwh[m]), like=largest),
                f"{all_jobs.max_mw[m]:,.4g}",
                str(all_jobs.release[m])[:16].replace("T", " "),
                str(all_jobs.deadline[m])[:16].replace("T", " "),
                f"{in_time[m]:.0%}",
                f"{in_space[m]:.0%}",
                text(where + more),
            ]
        )
    head = [
        "job",
        "work\nMWh",
        "most\nMW",
        "release\nUTC",
        "deadline\nUTC",
        "moved\nin time",
        "in space",
        "where",
    ]
    cut = f"; the {len(chosen)} largest of {len(all_jobs):,}" if len(chosen) < len(all_jobs) else ""
    return table(f"Jobs by release{cut}", head, rows)


def coordination_section(material: Material) -> Section:
    """Training after inference, against both in one plan."""
    rows, bold = [], []
    kinds = material.scenario.footprints
    for place, row in enumerate(material.run["schedulings"]):
        if row["problem"]:
            rows.append([text(row["name"]), *["-"] * (5 + 2 * len(kinds))])
            continue
        cells = [text(row["name"]), amount(row["energy_cost_usd"]), amount(row["objective"])]
        for kind in kinds:
            totals = row["footprints"][kind.name]
            cells += [amount(totals["max"]), "-" if totals["par"] is None else f"{totals['par']:.2f}"]
        cells += [f"{row['moved_in_time']:.1%}", f"{row['moved_in_space']:.1%}"]
        together = place == len(material.run["schedulings"]) - 1
        cells.append("" if together else f"{100.0 * row['saved_together']:.2f} %")
        bold += [place] if together else []
        rows.append(cells)
    head = ["training", "energy cost\nUSD", "objective\nUSD"]
    for kind in kinds:
        head += [f"{kind.name} worst\n{kind.unit}", f"{kind.name}\nmax/avg"]
    head += ["moved\nin time", "in space", "saved\ntogether"]
    said = (
        "Apart, eGLB plans inference as if there were no jobs, and training takes what capacity is left: "
        "where and when energy is cheapest, where there is least carbon, or by eGLB with inference fixed. "
        "Together is this plan."
    )
    body = f"<p>{text(said)}</p>" + "".join(f"<p>{_sentence(line)}</p>" for line in material.run["buys"])
    problems = dict.fromkeys(row["problem"] for row in material.run["schedulings"] if row["problem"])
    body += "".join(f"<p>Not possible apart: {text(problem)}.</p>" for problem in problems)
    figures = {}
    if any(values for _, values in jobs.apart(material)):
        figures["coordination"] = jobs.coordination(material)
        ways = [name for name, _ in jobs.apart(material)[0][1]]
        described = f"How much more than together {', '.join(ways)} cost"
        body += frame("coordination", "", described, legend=points_legend(ways), wide=True)
    body += table("What each way to schedule training costs", head, rows, bold=bold)
    return Section("Training and inference, apart and together", body, figures)


def _sentence(line: str) -> str:
    """With the signs that print sets, and no line between a number and its unit."""
    return text(line.replace(" -", f" {MINUS}").replace(" %", "\N{NO-BREAK SPACE}%"))
