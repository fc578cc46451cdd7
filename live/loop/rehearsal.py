"""Rehearsal: recorded demand and meters, with outages, dead signals and wrong estimates on purpose."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, Strict, TypeAdapter, ValidationError

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.scenarios.lookup import find_name, find_slot
from eglb.scenarios.scenario import Scenario

_METERED = 1.0 / 12.0
"""Of a slot, after which gateways report what is asked for in it: five minutes of an hour."""
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
Slots = Annotated[int, Field(ge=1)]
When = int | str | datetime


class _Event(BaseModel):
    """`at` is a slot number or a time, UTC; it lasts for so many `slots`, None to the end."""

    model_config = _STRICT

    at: When
    slots: Slots | None = None


class RegionDown(_Event):
    """A region is out: what is sent there is lost."""

    what: Literal["region-down"]
    region: str


class DeadSignal(_Event):
    """Who tells a signal does not answer; of all regions if none is named."""

    what: Literal["dead-signal"]
    kind: str
    region: str | None = None


class WrongEstimate(_Event):
    """The signals of a region's footprints are off by a factor; meters are not."""

    what: Literal["wrong-estimate"]
    region: str
    factor: Annotated[float, Field(gt=0.0, allow_inf_nan=False), Strict(False)]
    kind: str | None = None


Event = Annotated[RegionDown | DeadSignal | WrongEstimate, Field(discriminator="what")]
_EVENTS: TypeAdapter[list[RegionDown | DeadSignal | WrongEstimate]] = TypeAdapter(list[Event])


@dataclass(frozen=True)
class _Timed:
    """An event from `first` on and before `last`."""

    event: RegionDown | DeadSignal | WrongEstimate
    first: np.datetime64
    last: np.datetime64

    def on(self, now: np.datetime64) -> bool:
        return bool(self.first <= now < self.last)


class Rehearsal:
    """Plays a recorded scenario to a service: how much is asked for, what meters say, what goes wrong.

    Parameters
    ----------
    scenario : the slots that are served. events : see `read_events`.
    """

    def __init__(
        self, scenario: Scenario, events: Sequence[RegionDown | DeadSignal | WrongEstimate] = ()
    ) -> None:
        self.scenario = scenario
        self._intensity = [scenario.intensity_per_mw_slot(kind) for kind in scenario.footprints]
        self._price = scenario.price_per_mw_slot()
        self._step = np.timedelta64(round(scenario.slot_hours * 3600), "s")
        self._timed = [self._place(event) for event in events]

    def regions_down(self, now: np.datetime64) -> dict[str, str]:
        """Who is out, and why."""
        return {
            each.event.region: "rehearsed loss"
            for each in self._timed
            if isinstance(each.event, RegionDown) and each.on(now)
        }

    def silenced(self, now: np.datetime64) -> dict[tuple[str, str], str]:
        """Signals that do not answer, by kind and region, and why."""
        return {
            (each.event.kind, region): "rehearsed silence"
            for each in self._timed
            if isinstance(each.event, DeadSignal) and each.on(now)
            for region in ([each.event.region] if each.event.region else self.scenario.regions)
        }

    def distortion(self, now: np.datetime64) -> Array:
        """(N, K): what estimates of footprints are multiplied by."""
        factor = np.ones((len(self.scenario.regions), len(self.scenario.footprints)))
        for each in self._timed:
            event = each.event
            if isinstance(event, WrongEstimate) and each.on(now):
                row = self.scenario.regions.index(event.region)
                for k, kind in enumerate(self.scenario.footprints):
                    factor[row, k] *= event.factor if event.kind in (None, kind.name) else 1.0
        return factor

    def next_change(self, now: np.datetime64) -> np.datetime64:
        """When something begins or ends next, or demand is metered."""
        step = self._step.astype("timedelta64[ms]")
        metered = self.scenario.times[0].astype("datetime64[ms]") + np.timedelta64(
            round(step.astype(int) * _METERED), "ms"
        )
        metered += step * (int((now - metered) // step) + 1)
        return min([t for each in self._timed for t in (each.first, each.last) if t > now] + [metered])

    def demand(self, slot: int, now: np.datetime64) -> list[dict[str, Any]]:
        """What gateways report of a slot that runs; nothing in its first minutes."""
        fleet = self.scenario
        at = fleet.times[slot]
        if (now - at) / self._step < _METERED:
            return []
        asked = fleet.demand[:, slot].tolist()
        return [
            {"slot": at, "gateway": gateway, "demand_mw": mw}
            for gateway, mw in zip(fleet.gateways, asked, strict=True)
        ]

    def meters(self, slot: int, share: Array, work: Array) -> Iterator[dict[str, Any]]:
        """What gateways and regions report of a slot in which requests went by `share` (J, N), and jobs had
        `work` (N,) MW.
        """
        fleet = self.scenario
        demand, at = fleet.demand[:, slot], fleet.times[slot]
        load = demand @ share + work
        for j, gateway in enumerate(fleet.gateways):
            yield {"slot": at, "gateway": gateway, "demand_mw": demand[j]}
        for i, region in enumerate(fleet.regions):
            yield {
                "slot": at,
                "region": region,
                "load_mw": load[i],
                "energy_mwh": load[i] * fleet.pue[i] * fleet.slot_hours,
                "cost_usd": load[i] * self._price[i, slot],
                "footprints": {
                    kind.name: load[i] * self._intensity[k][i, slot]
                    for k, kind in enumerate(fleet.footprints)
                },
            }

    def _place(self, event: RegionDown | DeadSignal | WrongEstimate) -> _Timed:
        first = _time(event.at, self.scenario)
        end = self.scenario.times[-1] + self._step
        return _Timed(event, first, end if event.slots is None else first + event.slots * self._step)


def read_events(path: Path, scenario: Scenario) -> list[RegionDown | DeadSignal | WrongEstimate]:
    """The events of a TOML file, ``[[event]]`` tables with `what`: ``region-down``, ``dead-signal``,
    ``wrong-estimate``.

    Raises
    ------
    InputError : every problem of the file, each with its event and key.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: is not valid TOML: {error}") from None
    problems = [f"{path}: {key} is not read here, only [[event]] is" for key in document if key != "event"]
    try:
        events = _EVENTS.validate_python(document.get("event", []))
    except ValidationError as error:
        for each in error.errors(include_url=False):
            if not each["loc"]:
                problems.append(f"{path}: event is not a list of tables, [[event]]")
                continue
            number, *keys = each["loc"]
            name = next((str(key) for key in reversed(keys) if isinstance(key, str)), "what")
            problems.append(
                f"{path}: event {int(number) + 1}, {name}: {each['msg'][0].lower()}{each['msg'][1:]}"
            )
        raise InputError(problems) from None
    kinds = ("price", *(kind.name for kind in scenario.footprints))
    for number, event in enumerate(events, 1):
        named = {"region": scenario.regions, "kind": kinds[isinstance(event, WrongEstimate) :]}
        for key, among in named.items():
            wanted = getattr(event, key, None)
            if wanted is not None:
                try:
                    find_name(key, wanted, among)
                except InputError as error:
                    problems.append(f"{path}: event {number}, {key}: {error}")
        try:
            _time(event.at, scenario)
        except InputError as error:
            problems.append(f"{path}: event {number}, at: {error}")
    if problems:
        raise InputError(problems)
    return events


def _time(at: When, scenario: Scenario) -> np.datetime64:
    """A slot number or a time of the scenario's horizon, UTC."""
    if isinstance(at, datetime):
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()
    slot = find_slot(scenario, str(at))
    if isinstance(at, int) or at.isdigit():
        return np.datetime64(scenario.times[slot], "s")
    stamp = datetime.fromisoformat(at)
    aware = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    return np.datetime64(round(aware.timestamp()), "s")
