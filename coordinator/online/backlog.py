"""Admission control of jobs: who is admitted at its release, and how much work cannot wait any more.

Gateways are promised room: up to so many MW in every slot to come. A job is admitted at its release if,
beside what is promised, all work admitted before and its own can be done in time. A plan that shows so, the
commitment, is kept from slot to slot and always covers all that is left to do. A policy runs what it likes
to run now; then the commitment is adapted to it, and work that would not find room later is forced now. No
more is forced than that takes: work is moved along alternating paths, and there is one whenever it can be
done at all (maximum flow over slots and regions, with what is promised as further flow; where ways have
gains, one may be overlooked, and then the last commitment is carried out). So admitted work is done in time,
whatever prices and footprints are foretold, as long as gateways keep to the promise and regions to the
capacity that they tell ahead.

Less demand than promised never takes room from jobs: what serves the promise serves any part of it. In slots
where the promise alone is more than the capacity jobs have no claim; they may run there when the slot comes.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eglb.agents.timeline import Look
from eglb.coordinator.exchange import Broadcast
from eglb.coordinator.market.jobs import JobSet
from eglb.coordinator.market.market import Market
from eglb.coordinator.online.settlement import settled
from eglb.foundation.arrays import Array

ROUNDING = 1e-9
"""Part of a job's work that may be left undone without it being missed."""
_DONE = 1e-12
"""Part of a job's work that is not worth another slot."""


class Backlog:
    """The jobs of a market from their release to their deadline.

    Parameters
    ----------
    market : its `work` is over the slots of the whole run, no two jobs merged. promised : (D, J) MW that the
        gateways may ask for at most, in slot t that of row t mod D.
    load : (T, C) MW in the columns of jobs as they have been run, to be gone on with; all slots of the market
        by default. lead : jobs are admitted or refused so many slots before their first.
    """

    def __init__(self, market: Market, promised: Array, load: Array | None = None, lead: int = 0) -> None:
        assert market.work is not None
        self.jobs: JobSet = market.work
        count = len(self.jobs.first)
        self.admitted, self.refused = np.zeros(count, bool), np.zeros(count, bool)
        self.left = np.zeros(count)
        """(M,) MW-slots of work that is admitted, not done yet and not late."""
        self.late = np.zeros(count)
        """(M,) MW-slots of work that was not done by its deadline: none if promises are kept."""
        self.forced = 0
        """Slots in which more had to run than the policy wanted."""
        self._market, self._promised, self._lead = market, promised, lead
        self._first = int(self.jobs.first.min()) if count else 0
        self._owner = self._shifted(self._first).owner(
            int(self.jobs.last.max(initial=self._first)) - self._first, market.gateways
        )
        self._load = np.zeros((market.slots, market.gateways)) if load is None else load
        self._alike = _same_reach(market, promised.shape[1])
        self._slot = 0
        self._route = np.zeros((0, len(market.edge_region)))
        self._ceiling = np.zeros((0, market.regions))
        self._demand = np.zeros((0, promised.shape[1]))

    def open(
        self, now: int, meter_delay: int | None, demand: Array
    ) -> Generator[Broadcast, Sequence[Any], None]:
        """Slot `now` begins with `demand` (1, J) in MW: admit or refuse the jobs that are released.

        The agents are asked for their capacity up to the last deadline; `meter_delay` as in `Slot`.
        """
        slots = self.turn_to(now)
        if not slots:
            return
        look = Look(
            now=now,
            settled=settled(now, meter_delay),
            slot=now + np.arange(slots),
            weight=np.ones(slots),
            carried=np.zeros((self._market.regions, self._market.kinds)),
        )
        (quantity,) = yield Broadcast((look,), opening=True)
        self.promise(demand, np.array(quantity.quantity.T, order="C"))

    @property
    def commitment(self) -> Array:
        """(S, E) after `commit`: a route from the next slot on that does all that is left, beside what is
        promised.
        """
        return self._route

    def resume(self, job: int, left: float) -> None:
        """A job was admitted before, and `left` MW-slots of it are to do."""
        self.admitted[job], self.left[job] = True, left

    def turn_to(self, now: int) -> int:
        """A slot begins; of how many, from it on, the capacity has to be known."""
        self._slot = now
        expired = (self.left > 0.0) & (self.jobs.last <= now)
        self.late[expired], self.left[expired] = self.left[expired], 0.0
        last = max(now + self.horizon, int(self.jobs.last[self._released()].max(initial=now)))
        kept = slice(0, last - now)
        self._route, self._ceiling, self._demand = self._route[kept], self._ceiling[kept], self._demand[kept]
        return last - now

    def promise(self, demand: Array, ceiling: Array, running: Array | None = None) -> None:
        """Commit to serve `demand` (1, J) now and what is promised in the slots to come, all of `ceiling` (S,
        N), and what is admitted; admit what is released, or refuse it.

        Jobs may be `running` at (M,) MW already in the present slot, since part of it may have passed: who
        starts later is admitted only if that can stay so.
        """
        self._keep_promise(demand, ceiling)
        if self._lacks(self.left, self._route, 0).any():
            self._complete(self._route, self.left, 0)
        for m in self._released():
            self._admit(int(m), running)

    @property
    def horizon(self) -> int:
        """Slots from the present one to the last deadline of what is left to do; 0 if nothing is."""
        return int(self.jobs.last[self.left > 0.0].max(initial=self._slot)) - self._slot

    def work(self) -> JobSet | None:
        """What is left to do, from the present slot on; None if nothing is."""
        return self._work(self._slot, self.left)

    def expect(self, route: Array) -> None:
        """Take `route` (S, E), from the present slot on, for what jobs will do as far as is known."""
        self._load[self._slot :] = 0.0
        self._load[self._slot : self._slot + len(route)] = self._of_jobs(route)

    def usual(self, slot: Array, explicit: int, day: int) -> Array:
        """(S, C) MW in the columns of jobs in some slots (S,), of which the first `explicit` stand for those
        from the present one on: as run, or as expected; as on the latest day if that is more, since jobs that
        are not released yet will come.
        """
        load = self._load[slot]
        ahead = self._slot + np.arange(explicit)
        back = ahead - day * ((ahead - self._slot) // day + 1)
        planned = self._load[np.minimum(ahead, len(self._load) - 1)]
        before = np.where((back >= 0)[:, None], self._load[np.maximum(back, 0)], 0.0)
        more = before.sum(1) > planned.sum(1)
        load[:explicit] = np.where(more[:, None], before, planned)
        return load

    def expected(self, slots: int, day: int, whole: bool) -> tuple[JobSet | None, Array]:
        """What is left to do in the next `slots` and what the latest `day` released, again every day.

        Of jobs that may wait for longer an even part falls into these slots; all that they have power for
        if the run ends then, `whole`. They take columns of the same reach that are free: (S,) MW of those
        that find none is told apart, spread over their slots.
        """
        jobs, now = self.jobs, self._slot
        left = np.flatnonzero((self.left > 0.0) & (jobs.last > now))
        latest = np.flatnonzero(self.admitted & (jobs.first > now - day) & (jobs.first <= now))
        later = day * np.arange(1, slots // day + 2)
        job = np.concatenate([left, np.tile(latest, len(later))])
        shift = np.concatenate([np.zeros(len(left), np.int64), np.repeat(later, len(latest))])
        begins = jobs.first[job] + shift < now + slots
        job, shift = job[begins], shift[begins]
        first, end = np.maximum(jobs.first[job] + shift - now, 0), jobs.last[job] + shift - now
        last = np.minimum(end, slots)
        energy = np.where(shift > 0, jobs.energy[job], self.left[job])
        if not whole:
            energy *= (last - first) / (end - first)
        energy = np.minimum(energy, jobs.most[job] * (last - first))
        columns = self._columns_for(job, first, last, slots)
        placed = np.array([len(each) > 0 for each in columns], bool)
        homeless = np.zeros(slots)
        for q in np.flatnonzero(~placed):
            homeless[first[q] : last[q]] += energy[q] / (last[q] - first[q])
        if not placed.any():
            return None, homeless
        column = np.array([column for each in columns for column in each])
        work = self._of(job[placed], first[placed], last[placed], energy[placed], column)
        return work, homeless

    def ran(self, slot: Array) -> Array:
        """(S,) MW of load that jobs were in some slots before this one."""
        return np.asarray(self._load[slot].sum(1))

    def commit(self, route: Array, ran: Array | float = 0.0, part: float = 0.0) -> Array:
        """The route (E,) of the present slot, next to `route`, after which all that is left can be done in
        time; it meets demand as `route` does.

        If a `part` of the slot has passed, work `ran` in it, (M,) MW-slots, and goes by the route in the
        rest.
        """
        if not len(self._route):
            self._load[self._slot] = 0.0
            return route

        def left_after(power: Array) -> Array:
            return np.maximum(self.left - (ran + (1.0 - part) * power), 0.0)

        power = self._powers(route[None], self._slot)[0]
        after, later = left_after(power), np.array(self._route[1:], order="C")
        self._complete(later, after, 1)
        short = self._lacks(after, later).any() or self._is_short(route, power)
        if short and (work := self.work()) is not None:
            self.forced += 1
            market = self._market.over(self._demand, work)
            forced = np.concatenate([route[None], later])
            market.complete(forced, self._ceiling)
            if self._lacks(self.left, forced, 0).any():
                # Only where ways have gains, or a promise was broken.
                carried_out = self._route.copy()
                market.complete(carried_out, self._ceiling)
                if self._lacks(self.left, carried_out, 0).sum() < self._lacks(self.left, forced, 0).sum():
                    forced = carried_out
            route, later = forced[0], np.array(forced[1:], order="C")
            after = left_after(self._powers(route[None], self._slot)[0])
            if part > 0.0:
                self._complete(later, after, 1)
        self.left = np.where(after <= _DONE * self.jobs.energy, 0.0, after)
        self._load[self._slot] = self._of_jobs(route[None])[0]
        self._route, self._ceiling, self._demand = later, self._ceiling[1:], self._demand[1:]
        return np.asarray(route)

    def _released(self) -> Array:
        """Jobs that are to be admitted or refused in the present slot."""
        due = self.jobs.first <= self._slot + self._lead
        return np.flatnonzero(due & ~self.admitted & ~self.refused)

    def _admit(self, job: int, running: Array | None) -> None:
        """Admit a job if the commitment can be completed by its work; what was short before may stay so."""
        fixed, before = 0, self.left
        if running is not None and self.jobs.first[job] > self._slot:
            fixed, before = 1, np.maximum(self.left - running, 0.0)
        after = before.copy()
        after[job] = self.jobs.energy[job]
        route, tiny = self._route[fixed:].copy(), ROUNDING * self.jobs.energy[job]
        short = self._complete(route, after, fixed)
        if short > tiny and short > self._complete(self._route[fixed:].copy(), before, fixed) + tiny:
            self.refused[job] = True
        else:
            self.admitted[job], self.left[job] = True, self.jobs.energy[job]
            self._route = np.concatenate([self._route[:fixed], route])

    def _complete(self, route: Array, left: Array, fixed: int) -> float:
        """Make a route (S, E) without the first `fixed` slots, none or one, do what is `left` (M,), in place;
        how much it is short of that.
        """
        if fixed:
            self._thin_out(route, left)
        if (work := self._work(self._slot + fixed, left)) is None:
            return 0.0
        market = self._market.over(self._demand[fixed:], work)
        return float(market.complete(route, self._ceiling[fixed:]).sum())

    def _keep_promise(self, demand: Array, ceiling: Array) -> None:
        """Serve `demand` (1, J) now and what is promised in the slots to come, all of `ceiling` (S, N)."""
        kept, fixed = len(self._route), demand.shape[1]
        promised = self._promised[
            np.arange(self._slot + kept, self._slot + len(ceiling)) % len(self._promised)
        ]
        market = self._market.over(promised)
        route, unmet = market.repair(market.spread(), ceiling[kept:])
        free = np.logical_not(unmet.any(1))[:, None]
        self._ceiling = np.concatenate([self._ceiling, ceiling[kept:] * free])
        self._demand = np.concatenate([self._demand, promised * free])
        self._route = np.concatenate([self._route, route * free])
        self._ceiling[0], self._demand[0] = ceiling[0], demand[0]
        served = np.add.reduceat(self._route[0], self._market.gateway_start[:-1])[:fixed]
        part = np.minimum(np.divide(demand[0], served, out=np.ones(fixed), where=served > 0.0), 1.0)
        of_gateways = self._market.edge_gateway < fixed
        self._route[0, of_gateways] *= part[self._market.edge_gateway[of_gateways]]

    def _thin_out(self, route: Array, left: Array) -> None:
        """Take what is more than `left` (M,) from a route (S, E) from the next slot on, in place; what least
        power asks for stays.
        """
        power = self._powers(route, self._slot + 1)
        total = power.sum(0)
        for m in np.flatnonzero(total > left):
            held = np.minimum(power[:, m], self.jobs.least[m])
            spare = total[m] - held.sum()
            if left[m] >= held.sum() and spare > 0.0:
                wanted = held + (power[:, m] - held) * ((left[m] - held.sum()) / spare)
            else:
                wanted = power[:, m] * (left[m] / total[m])
            part = np.divide(wanted, power[:, m], out=np.zeros(len(route)), where=power[:, m] > 0.0)
            mine = slice(self.jobs.first[m] - self._slot - 1, self.jobs.last[m] - self._slot - 1)
            window = slice(max(mine.start, 0), mine.stop)
            start = self._market.gateway_start
            for v in range(self.jobs.way_start[m], self.jobs.way_start[m + 1]):
                column = self.jobs.way_column[v]
                route[window, start[column] : start[column + 1]] *= part[window, None]

    def _shifted(self, slots: int) -> JobSet:
        return replace(self.jobs, first=self.jobs.first - slots, last=self.jobs.last - slots)

    def _work(self, slot: int, left: Array) -> JobSet | None:
        """What of `left` (M,) can be done from `slot` on."""
        jobs = self.jobs
        kept = np.flatnonzero((left > 0.0) & (jobs.last > slot))
        if not len(kept):
            return None
        first, last = np.maximum(jobs.first[kept] - slot, 0), jobs.last[kept] - slot
        return self._of(kept, first, last, left[kept], jobs.way_column[self._ways(kept)])

    def _of(self, job: Array, first: Array, last: Array, energy: Array, way_column: Array) -> JobSet:
        """Some `energy` of jobs (M',) in slots of their own, their ways in columns of their own."""
        jobs = self.jobs
        return JobSet(
            first=first,
            last=last,
            energy=energy,
            most=jobs.most[job],
            least=np.minimum(jobs.least[job], energy / (last - first)),
            way_start=np.concatenate([[0], np.cumsum(jobs.way_start[job + 1] - jobs.way_start[job])]),
            way_column=way_column,
            way_gain=jobs.way_gain[self._ways(job)],
        )

    def _ways(self, job: Array) -> Array:
        start = self.jobs.way_start
        return np.concatenate([np.arange(start[m], start[m + 1]) for m in job])

    def _columns_for(self, job: Array, first: Array, last: Array, slots: int) -> list[list[int]]:
        """Columns for the ways of each job (M',) in its slots: its own or, where taken, others of the same
        reach; none if there are not enough.
        """
        start = self.jobs.way_start
        taken = np.zeros((slots, self._market.gateways), bool)
        found: list[list[int]] = []
        for m, a, b in zip(job, first, last, strict=True):
            free = [
                next((each for each in (column, *self._alike[column]) if not taken[a:b, each].any()), None)
                for column in self.jobs.way_column[start[m] : start[m + 1]]
            ]
            found.append([] if None in free else [each for each in free if each is not None])
            taken[a:b, found[-1]] = True
        return found

    def _is_short(self, route: Array, done: Array) -> bool:
        """Whether a route (E,) of the present slot, with powers (M,) `done`, leaves demand or least powers
        unmet; a policy may overlook that where ways have gains.
        """
        demand = self._demand[0]
        served = np.add.reduceat(route, self._market.gateway_start[:-1])[: len(demand)]
        running = (self.left > 0.0) & (self.jobs.first <= self._slot)
        least = np.where(running, np.minimum(self.jobs.least, self.left), 0.0)
        tiny = ROUNDING * max(demand.max(initial=0.0), self.jobs.most.max())
        return bool((served < demand - tiny).any() or (done < least - tiny).any())

    def _lacks(self, left: Array, route: Array, ahead: int = 1) -> Array:
        """(M,) what a route (S, E) from so many slots ahead on does not do of what is `left`."""
        lacks = left - self._powers(route, self._slot + ahead).sum(0)
        return np.where(lacks > ROUNDING * self.jobs.energy, lacks, 0.0)

    def _powers(self, route: Array, slot: int) -> Array:
        """(S, M) MW of work that a route (S, E) from `slot` on does."""
        load = self._of_jobs(route)
        owner = self._owner[slot - self._first :][: len(route)]
        at, column = np.nonzero((owner >= 0) & (load > 0.0))
        way = owner[at, column]
        power = np.zeros((len(route), len(self.left)))
        np.add.at(power, (at, self.jobs.way_job[way]), load[at, column] / self.jobs.way_gain[way])
        return power

    def _of_jobs(self, route: Array) -> Array:
        """(S, C) MW that a route (S, E) carries in the columns of jobs."""
        load = np.add.reduceat(route, self._market.gateway_start[:-1], axis=1)
        load[:, : self._promised.shape[1]] = 0.0
        return load


def _same_reach(market: Market, fixed: int) -> dict[int, list[int]]:
    """For each column of jobs, those that reach the same regions."""
    groups: dict[bytes, list[int]] = {}
    alike = {}
    for column in range(fixed, market.gateways):
        regions = market.edge_region[market.gateway_start[column] : market.gateway_start[column + 1]]
        alike[column] = groups.setdefault(regions.tobytes(), [])
        alike[column].append(column)
    return alike
