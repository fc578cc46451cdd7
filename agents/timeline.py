"""Time series of an agent: what it has metered, what it estimates, what it expects of the slots to come.

An agent in a replay holds its whole series and answers, for any moment, from what was known then.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from eglb.agents.bidding import Quantity
from eglb.agents.calibration import Calibration
from eglb.agents.codec import per_region, shared
from eglb.agents.forecasting import Forecaster, Past
from eglb.agents.region import Memory, PrivateData, Region, Request
from eglb.foundation.arrays import Array


@dataclass(frozen=True, eq=False)
class Timeline(PrivateData):
    """The private series of n data centers over T slots, those before the run included.

    Parameters
    ----------
    metered : the truth; the agent knows price and capacity up to the present slot, intensities once metered.
    estimate : (n, K, T) what it takes its intensities for until then; None where they are known at once.
    calibrated : correct estimates by what metering has taught.
    forecaster : foretells price and intensities. outlook : (n, 1 + K, T) what an outside source says of
    price and intensities, for forecasters that read one.
    first : start of the first slot, UTC. slot_hours : length of a slot.
    """

    metered: Region
    estimate: Array | None
    calibrated: bool
    forecaster: Forecaster
    outlook: Array | None
    first: np.datetime64
    slot_hours: float
    _foretold: dict[tuple[int, int], Array] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def _calibration(self) -> Calibration | None:
        """What metering teaches, or None where there is nothing to learn."""
        if self.estimate is None or not self.calibrated:
            return None
        return Calibration(self.estimate, self.metered.intensity)

    def at(self, now: int, settled: int, slot: Array, weight: Array, carried: Array) -> Region:
        """The data of some slots, as known in slot `now` when slots before `settled` have been metered.

        Parameters
        ----------
        slot : (S,) slots, in any order and as often as liked; those after `now` are foretold.
        weight : (S,) how many slots each of them stands for. carried : (n, K) footprints so far.
        """
        seen = np.minimum(slot, now)
        price, capacity = self.metered.price[:, seen], self.metered.capacity[:, seen]
        intensity = self._intensity(seen, settled)
        ahead = slot > now
        if ahead.any():
            foretold = self._foretell(now, settled, int(slot.max()) - now)[:, :, slot[ahead] - now - 1]
            price[:, ahead], intensity[:, :, ahead] = foretold[:, 0], foretold[:, 1:]
            # Capacity is the operator's own plan: it is known ahead.
            capacity[:, ahead] = self.metered.capacity[:, slot[ahead]]
        # Slots that are picked out come with the regions' axis innermost, which compiled code does not take.
        price, intensity = np.ascontiguousarray(price * weight), np.ascontiguousarray(intensity * weight)
        return Region(self.names, price, np.ascontiguousarray(capacity), intensity, carried)

    def _intensity(self, slot: Array, settled: int) -> Array:
        """(n, K, S): metered where it is, else as estimated."""
        intensity = self.metered.intensity[:, :, slot]
        if self.estimate is not None and (unsettled := slot >= settled).any():
            estimate = self.estimate[:, :, slot[unsettled]]
            if self._calibration is not None:
                estimate = self._calibration.correct(estimate, settled)
            intensity[:, :, unsettled] = estimate
        return intensity

    def _foretell(self, now: int, settled: int, slots: int) -> Array:
        """(n, 1 + K, at least `slots`): price and intensities of the slots after `now`."""
        key = (now, settled)
        known = self._foretold.get(key)
        if known is None or known.shape[2] < slots:
            past = np.concatenate(
                [self.metered.price[:, None, : now + 1], self._intensity(np.arange(now + 1), settled)], axis=1
            )
            outlook = self.outlook
            if outlook is None or not self.forecaster.reads_outlook:
                outlook = np.empty((*past.shape[:2], 0))
            kinds = [f"footprint {k}" for k in range(past.shape[1] - 1)]
            known = np.stack(
                [
                    self.forecaster.predict(
                        Past(
                            quantity,
                            self.names,
                            past[:, q],
                            self.first,
                            self.slot_hours,
                            outlook[:, q, now + 1 :],
                        ),
                        slots,
                    )
                    for q, quantity in enumerate(["price", *kinds])
                ],
                axis=1,
            )
            # A slot is foretold once for all that is asked about it; the next slot starts afresh.
            self._foretold.clear()
            self._foretold[key] = known
        return known


@dataclass(frozen=True, eq=False)
class Look(Request):
    """Turn to these slots, as known in slot `now`: what follows is about them. How much do you offer in each?

    Parameters
    ----------
    now : the present slot. settled : slots before this one have been metered.
    slot : (S,) those to turn to; later ones than `now` are foretold by the agent.
    weight : (S,) how many slots each of them stands for: multiplies price and intensities.
    carried : (N, K) footprints so far, counted into the totals.
    """

    now: int
    settled: int
    slot: Array = shared("slot", at_least=0.0)
    weight: Array = shared("slot", at_least=0.0)
    carried: Array = per_region("kind")

    def show(self, private: PrivateData) -> Region:
        if isinstance(private, Timeline):
            slots = private.metered.price.shape[1]
            if not (0 <= self.now < slots and ((self.slot >= 0) & (self.slot < slots)).all()):
                raise ValueError(f"asked about other slots than its {slots}")
            return private.at(self.now, self.settled, self.slot, self.weight, self.carried)
        if isinstance(private, Region) and not private.capacity.any():
            # Who stands in for an agent that is lost: nothing can be taken at any moment, what was caused
            # before counts.
            closed = Region.closed(private.names, len(self.slot), self.carried.shape[1])
            return replace(closed, carried=self.carried)
        raise ValueError("only an agent with a timeline can look at moments")

    def answer(self, region: Region, memory: Memory) -> Quantity:
        return Quantity(quantity=region.capacity)
