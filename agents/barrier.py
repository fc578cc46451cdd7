"""Interior point at the agent: a quadratic model of its own barrier, and its own part of each step.

Private to the agent are the slack u of its capacity with price z, and the slack w of each footprint level
with price mu. The coordinator moves load and level; the agent follows with its own step lengths, measures
what is left over and answers with a fresh model. Quantities are in the units of `BarrierStep` (all of order
one).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from eglb.agents.codec import Message, in_single_precision, per_region, scalar, shared
from eglb.agents.region import Memory, Region, Request
from eglb.foundation.arrays import Array

_BOUNDARY = 0.99
_SLACK_FLOOR = 1e-3
"""Of the first slack where capacity is small or none, in units of load; the same whoever shares the host."""
_LEAST_UNIT = float(np.finfo(float).tiny)
_TINY = 1e-30
"""Least slack and price, so that their quotients stay finite in a run that has stalled."""
_NEAR_FLOOR = 0.15
"""Of slacks and their prices at a start close to the end, in units of the root of the centring."""
_CAPACITY_MARGIN = 1e-9
"""Capacity is relaxed this much inside the method only, so that a full or closed slot has an interior."""


@dataclass(frozen=True, eq=False)
class Disclosure(Message):
    """Answer to `Disclose`: `price`, `capacity` (n, T) and `intensity` (n, K, T) of the region."""

    price: Array = per_region("slot")
    capacity: Array = per_region("slot", at_least=0.0)
    intensity: Array = per_region("kind", "slot", at_least=0.0)


@dataclass(frozen=True, eq=False)
class Disclose(Request):
    """Opens the interior-point method: the region discloses its series."""

    def answer(self, region: Region, memory: Memory) -> Disclosure:
        memory.notes.pop("barrier", None)
        return Disclosure(
            price=region.price, capacity=region.capacity, intensity=region.intensity.astype(np.float32)
        )


@dataclass(frozen=True, eq=False)
class BarrierModel(Message):
    """Answer to `BarrierStep`: the region's barrier as a quadratic around the present load and level.

    `slope` g (n, T) and `curvature` h (n, T) in the load; `level_residual` b (n, K), `level_compliance` W (n,
    K) and `equity_price` mu (n, K) in the footprint levels. Price and barrier can be inferred from them.
    `sound` (n,) is 0 where the barrier has left the range of numbers: the rest is of no use there, and the
    method is at its end. Else 1.
    """

    slope: Array = per_region("slot")
    curvature: Array = per_region("slot", at_least=0.0)
    level_residual: Array = per_region("kind")
    level_compliance: Array = per_region("kind", at_least=0.0)
    equity_price: Array = per_region("kind", at_least=0.0)
    sound: Array = per_region(at_least=0.0)


@dataclass(frozen=True, eq=False)
class BarrierStep(Request):
    """Follow the coordinator's move, then report a new model.

    Parameters
    ----------
    number : of this step; a step received twice is answered twice alike.
    load : (N, T) MW after the move. capacity_price_move : (N, T) the coordinator's change of the capacity
    prices.
    near : start close to the end, with capacity prices at `capacity_price_move` (only used to start).
    equity_price : (N, K) where the coordinator sees mu (only used to start), equity_price_move its change.
    level : (N, K) footprint level after the move; level_move the full Newton move, of which a part was taken.
    centring : tau of the next model.
    price_unit, load_unit, footprint_unit (K,) : USD per MW-slot, MW, units per MW-slot.
    """

    number: int
    centring: float = scalar(at_least=0.0)
    price_unit: float = scalar(at_least=_LEAST_UNIT)
    load_unit: float = scalar(at_least=_LEAST_UNIT)
    footprint_unit: Array = shared("kind", at_least=_LEAST_UNIT)
    level: Array = per_region("kind")
    level_move: Array = per_region("kind")
    load: Array = per_region("slot")
    capacity_price_move: Array = per_region("slot", single=True)
    equity_price: Array = per_region("kind")
    equity_price_move: Array = per_region("kind")
    near: bool = False

    def answer(self, region: Region, memory: Memory) -> BarrierModel:
        model = memory.notes.get("barrier")
        if model is not None and model.number == self.number:
            model = model.before
        before = model if model is None else replace(model, before=None)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # `describe` says what came of it
            load = self.load / self.load_unit
            if before is None:
                model = Barrier.start(region, self, load)
                model = model.settle(self) if self.near else model
            else:
                model = before.follow(self, load)
            told = model.describe(self.centring)
        memory.notes["barrier"] = replace(model, number=self.number, centring=self.centring, before=before)
        return told


@dataclass(frozen=True, eq=False)
class Barrier:
    """The agent's private interior point: data in units of order one, and u, z, w, mu > 0."""

    price: Array
    capacity: Array
    intensity: Array
    load: Array
    level: Array
    slack: Array
    slack_price: Array
    room: Array
    room_price: Array
    centring: float = 0.0
    number: int = -1
    before: Barrier | None = None

    @classmethod
    def start(cls, region: Region, step: BarrierStep, load: Array) -> Barrier:
        """A roomy interior point at the given load and level."""
        capacity = region.capacity / step.load_unit * (1.0 + _CAPACITY_MARGIN) + _CAPACITY_MARGIN
        intensity = region.intensity / step.footprint_unit[:, None]
        floor = np.maximum(0.2 * capacity, _SLACK_FLOOR)
        level = step.level
        footprint = (intensity * load[:, None, :]).sum(-1)
        return cls(
            price=region.price / step.price_unit,
            capacity=capacity,
            intensity=intensity,
            load=load,
            level=level,
            slack=np.maximum(capacity - load, floor),
            slack_price=np.full_like(load, 0.5),
            room=np.maximum(level - footprint, 0.05 * level),
            room_price=step.equity_price.copy(),
        )

    def settle(self, step: BarrierStep) -> Barrier:
        """The point on the central path, at the step's centring, that its prices and load tell of."""
        tau = step.centring
        slack_price = np.maximum(step.capacity_price_move, np.sqrt(tau) * _NEAR_FLOOR)
        footprint = (self.intensity * self.load[:, None, :]).sum(-1)
        return replace(
            self,
            slack_price=slack_price,
            slack=np.maximum(
                np.maximum(self.capacity - self.load, tau / slack_price), _NEAR_FLOOR * np.sqrt(tau)
            ),
            room=np.maximum(self.level - footprint, tau / self.room_price),
        )

    def _residuals(self) -> tuple[Array, Array]:
        footprint = (self.intensity * self.load[:, None, :]).sum(-1)
        return self.capacity - self.load - self.slack, self.level - footprint - self.room

    def describe(self, tau: float) -> BarrierModel:
        """The quadratic model at centring `tau`."""
        u, z, w, mu = self.slack, self.slack_price, self.room, self.room_price
        r, room_gap = self._residuals()
        h = z / u
        slope = self.price + (mu[:, :, None] * self.intensity).sum(1) + tau / u - h * r
        told = slope, h, tau / mu - (room_gap + w), w / mu, mu
        sound = [np.isfinite(each).reshape(len(mu), -1).all(1) for each in told]
        slope, h, residual, compliance, mu = map(np.nan_to_num, told)
        return BarrierModel(
            slope=in_single_precision(slope),
            curvature=in_single_precision(h),
            level_residual=residual,
            level_compliance=compliance,
            equity_price=mu,
            sound=np.all(sound, axis=0).astype(np.uint8),
        )

    def follow(self, step: BarrierStep, load: Array) -> Barrier:
        """Move with the coordinator, each slack and price by its own fraction of the way to the boundary.

        Of each pair the smaller is computed from the linearised complementarity and the larger from the move,
        never the other way round: dividing by the small one would amplify rounding errors a millionfold near
        the end.
        """
        tau = self.centring
        u, z, w, mu = self.slack, self.slack_price, self.room, self.room_price
        r, room_gap = self._residuals()
        h = z / u
        dy = load - self.load
        stiff = h > 1.0
        du_soft = r - dy
        dz = np.where(stiff, tau / u - z - h * r + step.capacity_price_move, tau / u - z - h * du_soft)
        du = np.where(stiff, tau / z - u - dz / np.where(stiff, h, 1.0), du_soft)
        dw_soft = room_gap + step.level_move - (self.intensity * dy[:, None, :]).sum(-1)
        stiff = mu > w
        dmu = np.where(stiff, step.equity_price_move, tau / w - mu - mu / w * dw_soft)
        dw = np.where(stiff, tau / mu - w - w / mu * dmu, dw_soft)
        return replace(
            self,
            load=load,
            level=step.level,
            slack=np.maximum(u + fraction_to_boundary(u, du) * du, _TINY),
            slack_price=np.maximum(z + fraction_to_boundary(z, dz) * dz, _TINY),
            room=w + fraction_to_boundary(w, dw).min(1, keepdims=True, initial=1.0) * dw,
            room_price=mu + fraction_to_boundary(mu, dmu).min(1, keepdims=True, initial=1.0) * dmu,
            before=None,
        )


def fraction_to_boundary(value: Array, move: Array) -> Array:
    """Elementwise largest step in (0, 1] that keeps `value + step * move` a hundredth away from zero."""
    blocked = -move > _BOUNDARY * value
    return np.where(blocked, _BOUNDARY * value / np.where(blocked, -move, 1.0), 1.0)
