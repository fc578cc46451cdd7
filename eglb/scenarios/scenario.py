"""A scenario: one fleet, its demand and its environment over a horizon, as validated numpy arrays."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.equity_shape import EquityShape
from eglb.scenarios.geography import great_circle_km, modelled_rtt_ms
from eglb.scenarios.jobs import Jobs

WORST_REGION = EquityShape()


@dataclass(frozen=True, eq=False)
class FootprintKind:
    """One environmental footprint and what its inequity costs.

    Parameters
    ----------
    name : such as ``"water"``.
    unit : unit of a region's total, such as ``"m3"``.
    weight : lambda_k, USD per unit of the worst region's (region-weighted) total over the horizon, >= 0.
    intensity : (N, T), units per MWh, >= 0.
    per : ``"facility"`` if `intensity` counts MWh at the meter (IT x PUE), ``"it"`` if IT energy.
    region_weight : (N,), multiplies a region's footprint inside the max only, >= 0.
    shape : how the regions' weighted totals make the number that `weight` prices; "worst region" throughout
        stands for the maximum, which is the default.
    signal : what kind of signal the intensities are, such as ``"average, lifecycle"``; shown wherever they
        are.
    low, high : (N, T) the ends of the range that `intensity` is the central estimate of; None where unknown.
    """

    name: str
    unit: str
    weight: float
    intensity: Array
    per: str
    region_weight: Array
    shape: EquityShape = WORST_REGION
    signal: str = ""
    low: Array | None = None
    high: Array | None = None

    def over_time(self, change: Callable[[Array], Array]) -> FootprintKind:
        """The same kind with `change` made to every hourly series."""
        low = None if self.low is None else change(self.low)
        high = None if self.high is None else change(self.high)
        return replace(self, intensity=change(self.intensity), low=low, high=high)


@dataclass(frozen=True, eq=False)
class Scenario:
    """N regions, J gateways, T slots and K footprint kinds; arrays are float64, C-contiguous and read-only by
    custom.

    Parameters
    ----------
    times : (T,) datetime64[s], start of each slot, UTC.
    slot_hours : length of a slot.
    capacity : (N, T) MW of IT power. pue : (N,).
    price : (N, T) USD per MWh at the meter; may be negative.
    demand : (J, T) MW of IT power, mean over the slot, >= 0.
    reach_gateway, reach_region : (E,) indices of the allowed pairs, sorted by region, then gateway, unique.
    reach_rtt_ms : (E,) round-trip time, NaN where unknown.
    note : what in the data is modelled rather than measured; shown wherever the scenario is shown.
    sources : where the data come from, and the attribution that their licences ask for.
    water_stress : (N,) category of baseline water stress, 0 (low) to 4 (extremely high), Aqueduct 4.0; NaN
        where unknown. people_m : (N,) millions of people living nearby; NaN where unknown. Both only serve to
        make region weights, see `eglb.scenarios.region_weights`.
    jobs : work that can wait, beside the demand that cannot; None if there is none.
    """

    name: str
    times: Array
    slot_hours: float
    regions: tuple[str, ...]
    region_lat: Array
    region_lon: Array
    pue: Array
    capacity: Array
    gateways: tuple[str, ...]
    gateway_lat: Array
    gateway_lon: Array
    gateway_utc_offset_h: Array
    demand: Array
    price: Array
    footprints: tuple[FootprintKind, ...]
    reach_gateway: Array
    reach_region: Array
    reach_rtt_ms: Array
    note: str = ""
    sources: tuple[str, ...] = field(default=())
    water_stress: Array | None = None
    people_m: Array | None = None
    jobs: Jobs | None = None

    @property
    def slots(self) -> int:
        """T, the number of slots."""
        return self.demand.shape[1]

    def price_per_mw_slot(self) -> Array:
        """(N, T): USD for one MW of IT load during one slot."""
        return self.price * self.pue[:, None] * self.slot_hours

    def intensity_per_mw_slot(self, kind: FootprintKind) -> Array:
        """(N, T): units of `kind` (not region-weighted) for one MW of IT load during one slot."""
        energy = self.slot_hours if kind.per == "it" else self.pue[:, None] * self.slot_hours
        return kind.intensity * energy

    def rtt_ms(self) -> Array:
        """(E,): round-trip time of each allowed pair; where it is unknown, the one that the distance
        implies.
        """
        gateway, region = self.reach_gateway, self.reach_region
        distance_km = great_circle_km(
            self.gateway_lat[gateway],
            self.gateway_lon[gateway],
            self.region_lat[region],
            self.region_lon[region],
        )
        return np.where(np.isnan(self.reach_rtt_ms), modelled_rtt_ms(distance_km), self.reach_rtt_ms)

    def with_weights(self, weights: dict[str, float]) -> Scenario:
        """The same scenario with some kinds' equity weights replaced.

        Raises
        ------
        KeyError : a name is not one of the scenario's footprint kinds.
        """
        unknown = sorted(set(weights) - {k.name for k in self.footprints})
        if unknown:
            raise KeyError(unknown[0])
        kinds = tuple(replace(k, weight=float(weights.get(k.name, k.weight))) for k in self.footprints)
        return replace(self, footprints=kinds)

    def with_shape(self, shape: EquityShape) -> Scenario:
        """The same scenario with the equity shape of every kind replaced."""
        return replace(self, footprints=tuple(replace(k, shape=shape) for k in self.footprints))

    def at(self, level: str) -> Scenario:
        """The same scenario with every footprint at the ``"low"``, ``"central"`` or ``"high"`` end of its
        range.

        A kind without a range stays as it is; the signal of the others says the level.
        """
        if level == "central":
            return self
        ends = [{"low": k.low, "high": k.high}[level] for k in self.footprints]
        kinds = [
            k
            if end is None
            else replace(
                k,
                intensity=end,
                low=None,
                high=None,
                signal=", ".join(filter(None, [k.signal, f"{level} end of range"])),
            )
            for k, end in zip(self.footprints, ends, strict=True)
        ]
        return replace(self, footprints=tuple(kinds))

    def without(
        self, regions: Collection[str], unmet: Array | None = None, unmet_mwh: Array | None = None
    ) -> Scenario:
        """The same fleet where some regions take no part: no capacity there, less demand by `unmet`, (J, T)
        MW, and less work by `unmet_mwh`, (M,).
        """
        out = np.isin(self.regions, list(regions))
        demand = self.demand if unmet is None else np.maximum(self.demand - unmet, 0.0)
        jobs = self.jobs if self.jobs is None or unmet_mwh is None else self.jobs.less(unmet_mwh)
        return replace(self, capacity=np.where(out[:, None], 0.0, self.capacity), demand=demand, jobs=jobs)

    def without_jobs(self, names: Collection[str]) -> Scenario:
        """The same fleet without some of its jobs."""
        if self.jobs is None:
            return self
        kept = np.flatnonzero(~np.isin(self.jobs.names, list(names)))
        return replace(self, jobs=self.jobs.take(kept) if len(kept) else None)

    def window(self, start: int, slots: int) -> Scenario:
        """The same fleet over `slots` slots from slot `start` on; of jobs that reach beyond, their part, see
        `Jobs.within`.

        Raises
        ------
        IndexError : the window does not lie within the horizon.
        """
        if start < 0 or slots < 1 or start + slots > self.slots:
            raise IndexError(f"slots {start} to {start + slots} are not among {self.slots}")
        part = slice(start, start + slots)
        kinds = tuple(
            k.over_time(lambda series: np.ascontiguousarray(series[:, part])) for k in self.footprints
        )
        return replace(
            self,
            times=self.times[part],
            capacity=np.ascontiguousarray(self.capacity[:, part]),
            demand=np.ascontiguousarray(self.demand[:, part]),
            price=np.ascontiguousarray(self.price[:, part]),
            footprints=kinds,
            jobs=self.jobs and self.jobs.within(self.times, self.slot_hours, start, slots),
        )

    def after(self, before: Scenario) -> Scenario:
        """The slots of `before`, of the same fleet, followed by these.

        Raises
        ------
        ValueError : another fleet, or slots that do not join.
        """
        for what in ("regions", "gateways", "slot_hours"):
            if getattr(before, what) != getattr(self, what):
                raise ValueError(f"{before.name} has other {what.replace('_', ' ')} than {self.name}")
        if [k.name for k in before.footprints] != [k.name for k in self.footprints]:
            raise ValueError(f"{before.name} has other footprint kinds than {self.name}")
        step = np.timedelta64(round(self.slot_hours * 3600), "s")
        if before.times[-1] + step != self.times[0]:
            raise ValueError(
                f"{before.name} ends at {before.times[-1] + step}, {self.name} starts at {self.times[0]}"
            )

        def join(first: Array, then: Array) -> Array:
            return np.concatenate([first, then], axis=-1)

        kinds = tuple(
            replace(
                k,
                intensity=join(earlier.intensity, k.intensity),
                low=None if earlier.low is None or k.low is None else join(earlier.low, k.low),
                high=None if earlier.high is None or k.high is None else join(earlier.high, k.high),
            )
            for earlier, k in zip(before.footprints, self.footprints, strict=True)
        )
        jobs = before.jobs.followed_by(self.jobs) if before.jobs and self.jobs else before.jobs or self.jobs
        return replace(
            self,
            times=join(before.times, self.times),
            capacity=join(before.capacity, self.capacity),
            demand=join(before.demand, self.demand),
            price=join(before.price, self.price),
            footprints=kinds,
            jobs=jobs,
        )
