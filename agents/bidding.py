"""Dual decomposition at the agent: a price-taking bid."""

from __future__ import annotations

from dataclasses import dataclass

from eglb.agents.codec import Message, per_region
from eglb.agents.region import Memory, Region, Request
from eglb.foundation.arrays import Array


@dataclass(frozen=True, eq=False)
class Quantity(Message):
    """Answer to `OfferQuantity`: `quantity` (n, T) MW on offer in every round of the auction."""

    quantity: Array = per_region("slot", at_least=0.0)


@dataclass(frozen=True, eq=False)
class OfferQuantity(Request):
    """How much do you put on offer? Asked once at the opening of a dual decomposition."""

    def answer(self, region: Region, memory: Memory) -> Quantity:
        return Quantity(quantity=region.capacity)


@dataclass(frozen=True, eq=False)
class Bid(Message):
    """Answer to `PriceFootprints`: `price` (n, T) USD per MW-slot at which the region takes load."""

    price: Array = per_region("slot")


@dataclass(frozen=True, eq=False)
class PriceFootprints(Request):
    """At which price do you take load, if your footprints cost `equity_price` (N, K) USD per unit?

    A linear local problem has a linear answer: the marginal cost of every slot. Bids at enough different
    equity prices let a curious coordinator infer price and intensity.
    """

    equity_price: Array = per_region("kind")

    def answer(self, region: Region, memory: Memory) -> Bid:
        return Bid(price=region.marginal_cost(self.equity_price))
