"""Deferrable jobs: work that can wait, beside demand that cannot.

A job asks for an amount of IT energy between its release and its deadline, in some regions, at no more than
so many MW. How it is split over slots and regions is free (fluid): its allocation z_mi(t) >= 0, MW, obeys

    sum_it z_mi(t) h / gain_mi = E_m,    min_m <= sum_i z_mi(t) / gain_mi <= max_m in every slot of its window

and shares capacity, cost and footprints with demand. Slots count that lie wholly in [release, deadline). Work
that is done away from home takes ``gain = 1 + checkpoint_cost / E`` as much energy: a job that is moved as a
whole pays its checkpoint once, one that is moved in part pays that part of it. That is the largest linear
function below the true cost of moving, so plans are never charged more than they would pay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from eglb.foundation.arrays import Array

ROUNDING = 1e-9
"""Part of a job's energy by which its window may fall short of it."""


@dataclass(frozen=True, eq=False)
class Jobs:
    """M jobs and the P pairs of a job and a region that it may run in.

    Parameters
    ----------
    names : (M,), unique. energy_mwh : (M,) IT energy, > 0.
    release, deadline : (M,) datetime64[s], UTC. max_mw, min_mw : (M,) IT power of the whole job, per slot.
    pair_job, pair_region : (P,) indices, sorted by job, then region, unique.
    home : (M,) index of the region where a job's data are, -1 if it has none.
    checkpoint_cost_mwh : (M,) IT energy that moving all of it away from home takes.
    data_gb : (M,) what would have to be moved; said wherever jobs are, and without effect on plans.
    """

    names: tuple[str, ...]
    energy_mwh: Array
    release: Array
    deadline: Array
    max_mw: Array
    min_mw: Array
    pair_job: Array
    pair_region: Array
    home: Array
    checkpoint_cost_mwh: Array
    data_gb: Array

    def __len__(self) -> int:
        return len(self.names)

    @property
    def gain(self) -> Array:
        """(M,): MW of load for one MW of work away from home."""
        return 1.0 + self.checkpoint_cost_mwh / np.where(self.energy_mwh > 0.0, self.energy_mwh, 1.0)

    @property
    def pair_gain(self) -> Array:
        """(P,): MW of load for one MW of work."""
        away = (self.home[self.pair_job] >= 0) & (self.pair_region != self.home[self.pair_job])
        return np.where(away, self.gain[self.pair_job], 1.0)

    @property
    def moving_takes_energy(self) -> bool:
        """Whether some job takes more energy in some region."""
        return bool((self.pair_gain > 1.0).any())

    def slots(self, times: Array, slot_hours: float) -> tuple[Array, Array]:
        """First slot of each job and the slot after its last, (M,) each; slots start at `times`."""
        step = np.timedelta64(round(slot_hours * 3600), "s")
        first = np.searchsorted(times, self.release)
        last = np.searchsorted(times + step, self.deadline, side="right")
        return first.astype(np.int64), np.maximum(last, first).astype(np.int64)

    def take(self, jobs: Array) -> Jobs:
        """Some of the jobs, by ascending index."""
        place = np.full(len(self), -1)
        place[jobs] = np.arange(len(jobs))
        kept = place[self.pair_job] >= 0
        taken = {f.name: getattr(self, f.name)[jobs] for f in fields(self) if f.name not in _OTHERWISE}
        return replace(
            self,
            names=tuple(self.names[m] for m in jobs),
            pair_job=place[self.pair_job[kept]],
            pair_region=self.pair_region[kept],
            **taken,
        )

    def within(self, times: Array, slot_hours: float, start: int, slots: int) -> Jobs | None:
        """The jobs, as far as they concern `slots` slots from slot `start` of `times` on; None if none does.

        A job that reaches beyond is cut in proportion to its slots, as if it ran evenly. So what can be done
        stays so, and windows that follow each other hold all the work.
        """
        step = np.timedelta64(round(slot_hours * 3600), "s")
        first, last = self.slots(times, slot_hours)
        inside = np.minimum(last, start + slots) - np.maximum(first, start)
        kept = np.flatnonzero(inside > 0)
        if not len(kept):
            return None
        cut = self.take(kept)
        part = inside[kept] / (last - first)[kept]
        return replace(
            cut,
            energy_mwh=np.where(part < 1.0, cut.energy_mwh * part, cut.energy_mwh),
            checkpoint_cost_mwh=np.where(part < 1.0, cut.checkpoint_cost_mwh * part, cut.checkpoint_cost_mwh),
            release=np.maximum(cut.release, times[start]),
            deadline=np.minimum(cut.deadline, times[start + slots - 1] + step),
        )

    def less(self, unmet_mwh: Array) -> Jobs:
        """The jobs with less work by `unmet_mwh` (M,), maybe none; what cannot be done in full need not keep
        its least power.
        """
        left = np.maximum(self.energy_mwh - unmet_mwh, 0.0)
        return replace(
            self,
            energy_mwh=left,
            checkpoint_cost_mwh=self.checkpoint_cost_mwh * (left / self.energy_mwh),
            min_mw=np.where(unmet_mwh > 0.0, 0.0, self.min_mw),
        )

    def followed_by(self, later: Jobs) -> Jobs:
        """These jobs and later ones; a job that was cut by a window is one again.

        Raises
        ------
        ValueError : a job has another limit, home or region in the later ones.
        """
        again = {name: m for m, name in enumerate(self.names)}
        new = np.array([m for m, name in enumerate(later.names) if name not in again], np.int64)
        parts = {f.name: np.array(getattr(self, f.name)) for f in fields(self) if f.name not in _OTHERWISE}
        for m, name in enumerate(later.names):
            if name not in again:
                continue
            at = again[name]
            same = all(getattr(self, f)[at] == getattr(later, f)[m] for f in ("max_mw", "min_mw", "home"))
            mine, theirs = self.pair_region[self.pair_job == at], later.pair_region[later.pair_job == m]
            if not same or not np.array_equal(mine, theirs):
                raise ValueError(f"job {name} is another one later")
            for what in ("energy_mwh", "checkpoint_cost_mwh"):
                parts[what][at] += getattr(later, what)[m]
            parts["release"][at] = min(parts["release"][at], later.release[m])
            parts["deadline"][at] = max(parts["deadline"][at], later.deadline[m])
        fresh = later.take(new)
        return replace(
            self,
            names=(*self.names, *fresh.names),
            pair_job=np.concatenate([self.pair_job, len(self) + fresh.pair_job]),
            pair_region=np.concatenate([self.pair_region, fresh.pair_region]),
            **{name: np.concatenate([value, getattr(fresh, name)]) for name, value in parts.items()},
        )


_OTHERWISE = ("names", "pair_job", "pair_region")
"""Fields of `Jobs` that do not have one entry for each job, or no array."""


def build_jobs(
    names: Sequence[str],
    energy_mwh: Array,
    release: Array,
    deadline: Array,
    max_mw: Array,
    allowed: Array,
    *,
    min_mw: Array | None = None,
    home: Array | None = None,
    checkpoint_cost_mwh: Array | None = None,
    data_gb: Array | None = None,
) -> Jobs:
    """Jobs from arrays over them; `allowed` (M, N) says where each may run, the rest is as in `Jobs`."""
    job, region = np.nonzero(allowed)
    count = len(names)

    def given(values: Array | None, default: float) -> Array:
        return np.full(count, default) if values is None else np.asarray(values, float)

    return Jobs(
        names=tuple(names),
        energy_mwh=np.asarray(energy_mwh, float),
        release=np.asarray(release, "datetime64[s]"),
        deadline=np.asarray(deadline, "datetime64[s]"),
        max_mw=np.asarray(max_mw, float),
        min_mw=given(min_mw, 0.0),
        pair_job=job.astype(np.int64),
        pair_region=region.astype(np.int64),
        home=np.full(count, -1, np.int64) if home is None else np.asarray(home, np.int64),
        checkpoint_cost_mwh=given(checkpoint_cost_mwh, 0.0),
        data_gb=given(data_gb, 0.0),
    )


def job_problems(jobs: Jobs, times: Array, slot_hours: float) -> list[tuple[int, str]]:
    """What is wrong with which job on its own, whatever else wants the capacity: index and one line each."""
    step = np.timedelta64(round(slot_hours * 3600), "s")
    first, last = jobs.slots(times, slot_hours)
    regions = np.bincount(jobs.pair_job, minlength=len(jobs))
    problems: list[tuple[int, str]] = []
    for m in range(len(jobs)):
        energy, most, least = jobs.energy_mwh[m], jobs.max_mw[m], jobs.min_mw[m]
        hours = float(last[m] - first[m]) * slot_hours
        found = []
        if not (np.isfinite(energy) and energy > 0.0):
            found.append(f"energy of {energy:g} MWh must be above zero")
        if not (np.isfinite(most) and most > 0.0):
            found.append(f"max_mw {most:g} must be above zero")
        if not 0.0 <= least <= most:
            found.append(f"min_mw {least:g} must lie between 0 and max_mw {most:g}")
        if jobs.checkpoint_cost_mwh[m] < 0.0 or jobs.data_gb[m] < 0.0:
            found.append("checkpoint_cost_mwh and data_gb must not be negative")
        if jobs.checkpoint_cost_mwh[m] > 0.0 and jobs.home[m] < 0:
            found.append("checkpoint_cost_mwh needs a home_region to move from")
        if not regions[m]:
            found.append("no region may run it")
        if jobs.release[m] < times[0] or jobs.deadline[m] > times[-1] + step:
            found.append(
                f"release {jobs.release[m]}Z to deadline {jobs.deadline[m]}Z is not within "
                f"{times[0]}Z to {times[-1] + step}Z"
            )
        elif not hours:
            found.append(f"no whole slot lies between {jobs.release[m]}Z and {jobs.deadline[m]}Z")
        elif not found:
            if energy > most * hours * (1.0 + ROUNDING):
                found.append(f"{energy:g} MWh need more than {hours:g} h at max_mw {most:g}")
            if energy < least * hours * (1.0 - ROUNDING):
                found.append(f"min_mw {least:g} for {hours:g} h is more than its {energy:g} MWh")
        problems += [(m, problem) for problem in found]
    return problems


def fit_work(jobs: Jobs, times: Array, slot_hours: float, work: Array) -> Array:
    """(P, T) MW near `work`, anything finite, that does all jobs' work within their windows and powers.

    What a job lacks is spread over the power that it leaves unused, what it has too much of is taken where it
    uses more than its least.
    """
    first, last = jobs.slots(times, slot_hours)
    gain = jobs.pair_gain[:, None]
    start = np.searchsorted(jobs.pair_job, np.arange(len(jobs) + 1))
    fitted = np.zeros_like(work)
    for m in range(len(jobs)):
        at = (slice(start[m], start[m + 1]), slice(first[m], last[m]))
        share = np.maximum(work[at], 0.0) / gain[at[0]]
        done = share.sum(0)
        power = np.clip(done, jobs.min_mw[m], jobs.max_mw[m])
        lacks = jobs.energy_mwh[m] / slot_hours - power.sum()
        room = jobs.max_mw[m] - power if lacks > 0.0 else power - jobs.min_mw[m]
        power += lacks * room / max(float(room.sum()), 1e-300)
        even = np.where(gain[at[0]] == gain[at[0]].min(), 1.0, 0.0) * np.ones_like(share)
        share = np.where(done > 0.0, share, even)
        fitted[at] = share * (power / share.sum(0)) * gain[at[0]]
    return fitted
