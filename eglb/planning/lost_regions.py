"""Lost regions in words: who had no part in a plan, since when, why, and what is left out for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eglb.coordinator.fleet.membership import MembershipEvent

_NAMES_SHOWN = 6


def last_of_each(events: Sequence[MembershipEvent]) -> dict[str, MembershipEvent]:
    """What last took each region out, by its name."""
    return {
        name: event
        for event in events
        if event.what in ("lost", "quarantined", "drained")
        for name in event.regions
    }


def member_lines(members: Mapping[str, Any], shortfall: Mapping[str, Any]) -> list[str]:
    """Who had no part in a plan, since when and why, and how much demand it leaves out for that; nothing of a
    whole one. As `Solution.to_dict` tells them.
    """
    out = members.get("out")
    if not out:
        return []
    it = "it" if len(out) == 1 else "them"
    events = [MembershipEvent(**event) for event in members["events"]]
    lines = [f"Without {missing(out, events)}; certified against the best plan without {it}."]
    if shortfall["mwh"]:
        span = f"{shortfall['slots']} slot{'s' * (shortfall['slots'] != 1)}"
        lines.append(
            f"{shortfall['mwh']:,.6g} MWh of demand cannot be met without {it}, in {span}: as little as "
            "possible is left out."
        )
    if shortfall.get("work_mwh"):
        late = f"{shortfall['jobs']} job{'s' * (shortfall['jobs'] != 1)}"
        lines.append(
            f"{shortfall['work_mwh']:,.6g} MWh of {late} cannot be done without {it}: as little as possible "
            "is left out."
        )
    return lines


def missing(out: Mapping[str, str], events: Sequence[MembershipEvent]) -> str:
    """Names, since when and why: ``oregon since round 12 (lost: no answer within 5 s)``."""
    since = last_of_each(events)
    alike: dict[str, list[str]] = {}
    for name, reason in out.items():
        event = since.get(name)
        when = f" since round {event.round}" if event is not None and event.round else ""
        alike.setdefault(f"{when} ({reason})", []).append(name)
    return ", ".join(_listed(names) + why for why, names in alike.items())


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"{', '.join(names[:_NAMES_SHOWN])}{more}"
