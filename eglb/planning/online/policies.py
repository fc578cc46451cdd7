"""Online policies by name, with their parameters."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eglb.coordinator.online.policy import Policy


def known_policies() -> dict[str, Callable[..., Policy]]:
    """What makes a fresh policy, by name; its parameters are those of the policy."""
    from eglb.coordinator.online.policies import POLICIES, Guard

    def guard(eps: float = 0.05, advice: str = "soft", robust: str = "eg") -> Guard:
        return Guard(parse_policy(advice), parse_policy(robust), eps)

    return {**{name: kind for name, (kind, _) in POLICIES.items()}, "guard": guard}


def parse_policy(text: str) -> Policy:
    """A fresh policy by name and parameters, such as ``guard:eps=0.1,advice=mpc,robust=eg``.

    Raises
    ------
    InputError : no such policy or parameter.
    """
    from eglb.foundation.specs import build

    return build(text, "policy", known_policies())


def policy_parameters(name: str) -> str:
    """The parameters of a policy with their defaults, such as ``eps=0.05, advice=soft``."""
    return ", ".join(f"{p.name}={p.default}" for p in signature(known_policies()[name]).parameters.values())
