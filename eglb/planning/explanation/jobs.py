"""Why a job ran where and when it did, from the prices that certify the plan.

A MW of work of job m in region i and slot t costs g v_i(t), the full price times its gain. It pays pi_m, the
price of its energy: what the dearest of it costs, and one MWh more would cost. The reduced cost is
``g v_i(t) - pi_m``: how much dearer it would be there and then. Where it is below zero the job runs at its
most power, and would run more if it could; where it is above, it waits for better, or runs elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from eglb.foundation.arrays import Array
from eglb.foundation.console import REGION_ROWS
from eglb.foundation.errors import InputError
from eglb.foundation.numbers import amount, plain
from eglb.planning.explanation.prices import energy_price
from eglb.planning.explanation.words import sentences
from eglb.planning.job_totals import at_once, moved_in_space, moved_in_time, origins
from eglb.scenarios.jobs import Jobs
from eglb.scenarios.lookup import find_name

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from eglb.planning.explanation.explanation import Explanation
    from eglb.scenarios.scenario import Scenario

# A power counts as one from this share of the job's most on, and as its most from this one on.
RUNS, FULL = 1e-4, 0.999
SPANS_SHOWN = 14
# Of what a job pays, below which a saving is none.
NOTHING = 1e-3


@dataclass(frozen=True)
class RegionOfJob:
    """One region that a job may run in: the MWh it does there, in how many hours, at what mean price, USD per
    MWh of work; `reduced_cost` is the least of all slots of its window, and `cheapest_utc` which that is.
    """

    region: str
    work_mwh: float
    share: float
    hours: float
    price: float | None
    reduced_cost: float
    cheapest_utc: str


@dataclass(frozen=True)
class Span:
    """Slots on end in which a job runs in the same regions: from, to, MWh, mean price and reduced cost."""

    from_utc: str
    to_utc: str
    regions: tuple[str, ...]
    work_mwh: float
    price: float
    reduced_cost: float


@dataclass(frozen=True, eq=False, repr=False)
class JobExplanation:
    """One job of an explained plan. Prints as sentences and tables; all prices are USD per MWh of work."""

    explanation: Explanation
    job: int

    @property
    def scenario(self) -> Scenario:
        """The fleet."""
        return self.explanation.scenario

    @property
    def jobs(self) -> Jobs:
        """All jobs of the fleet."""
        assert self.scenario.jobs is not None
        return self.scenario.jobs

    @cached_property
    def slots(self) -> tuple[int, int]:
        """Its first slot, and the one after its last."""
        first, last = self.jobs.slots(self.scenario.times, self.scenario.slot_hours)
        return int(first[self.job]), int(last[self.job])

    @cached_property
    def pairs(self) -> Array:
        """Positions of its pairs."""
        return np.flatnonzero(self.jobs.pair_job == self.job)

    @cached_property
    def work(self) -> Array:
        """(regions of its own, slots of its own) MW of work."""
        assert self.explanation.work is not None
        done = self.explanation.work[self.pairs, slice(*self.slots)]
        return np.asarray(done / self.jobs.pair_gain[self.pairs][:, None])

    @cached_property
    def price(self) -> Array:
        """The same shape: the full price of a MWh of its work."""
        full = self.explanation.full_price[self.jobs.pair_region[self.pairs], slice(*self.slots)]
        return np.asarray(full * self.jobs.pair_gain[self.pairs][:, None] / self.scenario.slot_hours)

    @cached_property
    def pays(self) -> float:
        """pi, the price of its energy."""
        e = self.explanation
        assert e.work_price is not None
        return float(energy_price(e.scenario, self.jobs, e.work_price)[self.job]) / e.scenario.slot_hours

    def regions(self) -> list[RegionOfJob]:
        """Every region that it may run in, where most is done first."""
        s, hours = self.scenario, self.scenario.slot_hours
        rows = []
        whole = max(float(self.work.sum()), 1e-300)
        for pair, work, price in zip(self.pairs, self.work, self.price, strict=True):
            done = float(work.sum())
            best = int(price.argmin())
            rows.append(
                RegionOfJob(
                    region=s.regions[self.jobs.pair_region[pair]],
                    work_mwh=done * hours,
                    share=done / whole,
                    hours=float((work > RUNS * self.jobs.max_mw[self.job]).sum()) * hours,
                    price=float(price @ work) / done if done > 0.0 else None,
                    reduced_cost=float(price[best]) - self.pays,
                    cheapest_utc=f"{s.times[self.slots[0] + best]}Z",
                )
            )
        return sorted(rows, key=lambda row: (-row.work_mwh, row.reduced_cost))

    def spans(self) -> list[Span]:
        """When it runs, in order."""
        s, (first, _) = self.scenario, self.slots
        there = self.work > RUNS * self.jobs.max_mw[self.job]
        step = np.timedelta64(round(s.slot_hours * 3600), "s")
        ends = np.flatnonzero((there[:, 1:] != there[:, :-1]).any(axis=0)) + 1
        spans = []
        for a, b in zip([0, *ends], [*ends, there.shape[1]], strict=True):
            if not there[:, a].any():
                continue
            of_region = self.work[:, a:b].sum(axis=1)
            most_first = [n for n in np.argsort(-of_region, kind="stable") if there[n, a]]
            done = float(of_region.sum())
            price = float((self.work * self.price)[:, a:b].sum()) / done
            spans.append(
                Span(
                    from_utc=f"{s.times[first + a]}Z",
                    to_utc=f"{s.times[first + b - 1] + step}Z",
                    regions=tuple(s.regions[i] for i in self.jobs.pair_region[self.pairs[most_first]]),
                    work_mwh=done * s.slot_hours,
                    price=price,
                    reduced_cost=price - self.pays,
                )
            )
        return spans

    def cheapest_left(self) -> tuple[float, str, str] | None:
        """(reduced cost, region, time) of the cheapest slot without it; None if it runs in all."""
        idle = ~(self.work > RUNS * self.jobs.max_mw[self.job]).any(axis=0)
        if not idle.any():
            return None
        price = np.where(idle, self.price, np.inf)
        pair, slot = np.unravel_index(int(price.argmin()), price.shape)
        region = self.scenario.regions[self.jobs.pair_region[self.pairs[pair]]]
        return float(price[pair, slot]) - self.pays, region, f"{self.scenario.times[self.slots[0] + slot]}Z"

    def savings(self) -> tuple[float, float]:
        """USD saved at these prices: by not running at once, and by not running where it came from."""
        hours, lowest = self.scenario.slot_hours, self.price.min(axis=0)
        paid = float((self.work * self.price).sum()) * hours
        at_once_usd = float(at_once(self.scenario)[self.job, slice(*self.slots)] @ lowest) * hours
        origin = origins(self.scenario)[self.job, self.jobs.pair_region[self.pairs]]
        there_usd = float(self.work.sum(axis=0) @ (origin @ self.price)) * hours
        return at_once_usd - paid, there_usd - paid

    def to_dict(self) -> dict[str, Any]:
        """The object that ``eglb explain --job NAME --json`` prints."""
        e, s, jobs, m = self.explanation, self.scenario, self.jobs, self.job
        assert e.work is not None
        waited, moved = self.savings()
        left = self.cheapest_left()
        return dict(
            plain(
                {
                    "scenario": s.name,
                    "algorithm": e.algorithm,
                    "objective": e.audit.objective,
                    "lower_bound": e.audit.lower_bound,
                    "gap": e.audit.gap,
                    "job": jobs.names[m],
                    "energy_mwh": jobs.energy_mwh[m],
                    "release_utc": f"{jobs.release[m]}Z",
                    "deadline_utc": f"{jobs.deadline[m]}Z",
                    "max_mw": jobs.max_mw[m],
                    "min_mw": jobs.min_mw[m],
                    "home_region": s.regions[jobs.home[m]] if jobs.home[m] >= 0 else None,
                    "prices_in": "USD per MWh of work",
                    "price": self.pays,
                    "moved_in_time": moved_in_time(s, e.work)[m],
                    "moved_in_space": moved_in_space(s, e.work)[m],
                    "saved_by_waiting_usd": waited,
                    "saved_by_moving_usd": moved,
                    "cheapest_left": left
                    and dict(zip(("reduced_cost", "region", "time_utc"), left, strict=True)),
                    "regions": [asdict(row) for row in self.regions()],
                    "spans": [asdict(span) for span in self.spans()],
                    "slots": [
                        {
                            "time_utc": f"{s.times[self.slots[0] + t]}Z",
                            "region": s.regions[jobs.pair_region[pair]],
                            "mw": self.work[p, t],
                            "price": self.price[p, t],
                            "reduced_cost": self.price[p, t] - self.pays,
                        }
                        for t in range(self.work.shape[1])
                        for p, pair in enumerate(self.pairs)
                    ],
                }
            )
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        e, s = self.explanation, self.scenario
        yield Text.assemble((s.name, "bold"), f"  job {self.jobs.names[self.job]}  {e.algorithm}")
        for line in e.missing:
            yield Text(line, style="yellow")
        yield Padding(sentences(self._said()), (1, 0))
        yield from self._tables()

    def _said(self) -> list[tuple[str, str]]:
        s, jobs, m = self.scenario, self.jobs, self.job
        power, hours = self.work.sum(axis=0), s.slot_hours
        runs = float((power > RUNS * jobs.max_mw[m]).sum()) * hours
        full = float((power > FULL * jobs.max_mw[m]).sum()) * hours
        window = f"{minute(jobs.release[m])} to {minute(jobs.deadline[m])} UTC"
        least = f", at least {amount(jobs.min_mw[m], 'MW')}" if jobs.min_mw[m] > 0.0 else ""
        home = f", at home in {s.regions[jobs.home[m]]}" if jobs.home[m] >= 0 else ""
        waited, moved = self.savings()
        lines = [
            (
                "Work",
                f"{amount(jobs.energy_mwh[m], 'MWh')} from {window}, at most {amount(jobs.max_mw[m], 'MW')}"
                f"{least}{home}",
            ),
            ("Price", f"{amount(self.pays)} USD/MWh: what one MWh more of it would cost"),
            ("Runs", f"in {runs:g} of {len(power) * hours:g} h, at its most power in {full:g}"),
        ]
        if (left := self.cheapest_left()) is not None:
            extra, region, when = left
            lines.append(
                ("Not in", f"any other hour: the cheapest is {_against(extra)}, in {region} at {when[:16]}Z")
            )
        lines += [
            ("Waiting", self._saves(waited, "if it ran at once, in the cheapest regions")),
            ("Moving", self._saves(moved, "if it ran in these hours where it came from")),
        ]
        return lines

    def _saves(self, usd: float, if_not: str) -> str:
        if abs(usd) < NOTHING * abs(self.pays) * float(self.jobs.energy_mwh[self.job]):
            return f"costs as much as {if_not}, at these prices"
        word = "less" if usd >= 0.0 else "more"
        return f"costs {amount(abs(usd))} USD {word} than {if_not}, at these prices"

    def _tables(self) -> Iterator[RenderableType]:
        rows, spans = self.regions(), self.spans()
        table = ruled("Region", "MWh", "share", "hours", "price", "reduced cost, least", "cheapest at")
        for row in rows[:REGION_ROWS]:
            table.add_row(
                row.region,
                amount(row.work_mwh, like=rows[0].work_mwh),
                f"{row.share:.1%}",
                f"{row.hours:g}",
                "-" if row.price is None else price_cell(row.price),
                price_cell(row.reduced_cost),
                minute(np.datetime64(row.cheapest_utc[:-1])),
                style="" if row.work_mwh > 0.0 else "dim",
            )
        yield table
        table = ruled("When, UTC", "MWh", "price", "reduced cost", "where")
        largest = max((span.work_mwh for span in spans), default=0.0)
        for span in spans[:SPANS_SHOWN]:
            names = ", ".join(span.regions[:3])
            more = f" and {len(span.regions) - 3} more" if len(span.regions) > 3 else ""
            when = f"{minute(np.datetime64(span.from_utc[:-1]))} to {span.to_utc[5:16].replace('T', ' ')}"
            cells = [
                amount(span.work_mwh, like=largest),
                price_cell(span.price),
                price_cell(span.reduced_cost),
            ]
            table.add_row(when, *cells, names + more)
        yield Padding(table, (1, 0, 0, 0))
        cut = f"{len(spans) - SPANS_SHOWN} more spans. " if len(spans) > SPANS_SHOWN else ""
        cut += f"{len(rows) - REGION_ROWS} more regions. " if len(rows) > REGION_ROWS else ""
        about = "Prices in USD per MWh of work; a reduced cost is what is above the job's price."
        yield Text(f"{cut}{about}", style="dim")


def explain_job(explanation: Explanation, name: str) -> JobExplanation:
    """The job of that name.

    Raises
    ------
    InputError : the fleet has no such job, or none at all.
    """
    if explanation.scenario.jobs is None or explanation.work is None:
        raise InputError(f"{explanation.scenario.name} has no jobs")
    return JobExplanation(explanation, find_name("job", name, explanation.scenario.jobs.names))


def _against(extra: float) -> str:
    return f"{amount(abs(extra))} USD/MWh {'dearer' if extra >= 0.0 else 'cheaper'}"


def ruled(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(first, no_wrap=True)
    for head in others:
        table.add_column(head, justify="left" if head == "where" else "right", no_wrap=head != "where")
    return table


def price_cell(value: float) -> str:
    return f"{value + 0.0:,.2f}" if abs(value) >= 0.005 else "0.00"


def minute(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]")).replace("T", " ")
