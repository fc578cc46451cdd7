"""Alerts: footprints against the baseline, drift of estimates, time of solves, and thresholds on them.

An alert is raised when a figure passes its threshold and is over when it is back below nine tenths of it;
both are events in the store.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.live.accounting.ledger import Ledger
from eglb.live.storage.store import Entry, Event, StoreError

_DAY_S = 86_400.0
_BACK = 0.9
_SOLVES, _HISTORY = 50, 300
_FEWEST = 6
"""Slots that must be known before a day's figure is judged."""


@dataclass(frozen=True)
class Thresholds:
    """From where on a figure is an alert.

    Parameters
    ----------
    inequity : the worst region's footprint over the average one, region-weighted, last day.
    cost : how far metered energy cost is above its estimate, last day, as a part of it.
    drift : how far metered over estimated footprints of a region are from 1, last day.
    solve : seconds of a solve, as a part of those it may take.
    signal_age : seconds after which a signal is old.
    """

    inequity: float = 3.0
    cost: float = 0.1
    drift: float = 0.15
    solve: float = 0.8
    signal_age: float = 3 * 3600.0

    @classmethod
    def parse(cls, given: Iterable[str]) -> Thresholds:
        """Of ``NAME=VALUE`` each; the rest are as they are by default.

        Raises
        ------
        InputError : there is no such threshold, or it is no number above zero.
        """
        known, found, problems = [each.name for each in fields(cls)], {}, []
        for text in given:
            name, _, value = text.partition("=")
            try:
                number = float(value)
            except ValueError:
                number = np.nan
            if name not in known:
                problems.append(f"alert {text!r}: is none of {', '.join(known)}")
            elif not 0.0 < number < np.inf:
                problems.append(f"alert {text!r}: {value!r} is not a number above 0")
            found[name] = number
        if problems:
            raise InputError(problems)
        return cls(**found)


@dataclass(frozen=True)
class Solve:
    """How a slot was planned: `outcome` is ``"plan"``, ``"last plan"`` or ``"nearest"``."""

    slot_utc: str
    seconds: float
    allowed: float
    outcome: str
    why: str = ""


class _Figure(NamedTuple):
    """Something that was judged; an alert where `value` is above `threshold`."""

    what: str
    level: str
    text: str
    value: float
    threshold: float


@dataclass(frozen=True)
class Alert:
    """One figure beyond its threshold, since when."""

    since_utc: str
    level: str
    what: str
    text: str
    value: float
    threshold: float


class Monitor:
    """Watches a ledger; any thread may call it. Alerts that the store says still hold go on, or end, here.

    Parameters
    ----------
    region_weight : (N, K) multiplies a region's footprint where the worst one is looked for.
    """

    def __init__(self, ledger: Ledger, region_weight: Array, thresholds: Thresholds | None = None) -> None:
        self.ledger = ledger
        self.thresholds = thresholds or Thresholds()
        self._weight = region_weight
        self._lock = threading.Lock()
        self._raised: dict[str, tuple[Alert, int | None]] = {
            e.what: (Alert(f"{e.at}Z", e.level, e.what, e.text, e.value or 0.0, e.threshold or 0.0), number)
            for number, e in ledger.store.open_alerts().items()
        }
        self._found: dict[str, tuple[Ledger, int, Any]] = {}
        self.solves: deque[Solve] = deque(maxlen=_SOLVES)
        self.solves_by_outcome: dict[str, int] = {}
        self.solve_seconds = 0.0
        self._day = max(1, round(_DAY_S / ledger.slot_seconds))

    def meter(self, entries: Sequence[Entry]) -> None:
        """Meters have spoken.

        Raises
        ------
        StoreError : what they say could not be kept.
        """
        self.ledger.write("meter", entries)

    def begin_period(self, ledger: Ledger) -> None:
        """Go on with the books of the next period."""
        with self._lock:
            self.ledger = ledger

    def solved(self, solve: Solve) -> None:
        """A slot has been planned, one way or another."""
        with self._lock:
            self.solves.append(solve)
            self.solves_by_outcome[solve.outcome] = self.solves_by_outcome.get(solve.outcome, 0) + 1
            self.solve_seconds += solve.seconds

    def look(
        self,
        now: np.datetime64,
        signals: Iterable[Mapping[str, Any]] = (),
        unhealthy: Mapping[str, str] | None = None,
    ) -> list[Alert]:
        """Judge everything at the start of a slot; the alerts that hold.

        Parameters
        ----------
        signals : rows with kind, region, age_s, fallback and problem. unhealthy : why, by region.
        """
        with self._lock:
            slot = min(max(self.ledger.slot_at(now), 0), self.ledger.slots)
            found = [*self._books(slot), *self._solves(), *self._signals(signals)]
            found += [
                _Figure(f"region {name}", "critical", f"{name} is out: {why}", 1.0, 0.5)
                for name, why in (unhealthy or {}).items()
            ]
            self._settle(found, now)
            return [alert for alert, _ in self._raised.values()]

    @property
    def alerts(self) -> list[Alert]:
        """Those that hold."""
        with self._lock:
            return [alert for alert, _ in self._raised.values()]

    def footprints(self) -> dict[str, dict[str, Any]]:
        """By kind: who is worst, its total, the average, and the baseline's worst; with their history.

        Totals are metered where meters have spoken, region-weighted, and of the slots that are accounted for
        by the baseline too, which those are not that still wait for meters. Only to be read.
        """
        return dict(self._once("footprints", self._footprints))

    def regions(self) -> list[dict[str, Any]]:
        """By region: footprints as metered and as estimated, and their drift in the last day. Only to be
        read.
        """
        return list(self._once("regions", self._regions))

    def _once(self, name: str, find: Callable[[Ledger], Any]) -> Any:
        """What was found when the books were last changed, or is found now."""
        with self._lock:
            ledger = self.ledger
        changes = ledger.changes
        kept = self._found.get(name)
        if kept is None or kept[0] is not ledger or kept[1] != changes:
            self._found[name] = kept = ledger, changes, find(ledger)
        return kept[2]

    def _footprints(self, ledger: Ledger) -> dict[str, dict[str, Any]]:
        base = ledger.by_kind("baseline")
        known = np.flatnonzero(~np.isnan(base).all((1, 2)))
        if not len(known):
            return {}
        last = int(known[-1]) + 1
        base = base[:last]
        run = np.where(np.isnan(base), 0.0, ledger.by_kind()[:last])
        step = -(-last // _HISTORY)
        shown = np.arange(last - 1, -1, -step)[::-1]
        starts = np.append(0, shown[:-1] + 1)
        total, nearest = (
            np.add.reduceat(np.nan_to_num(each), starts, axis=0).cumsum(0) * self._weight
            for each in (run, base)
        )
        times = [f"{ledger.start_of(int(t))}Z" for t in shown]
        worst, baseline = total.max(1).T.tolist(), nearest.max(1).T.tolist()
        return {
            kind: {
                "worst_region": ledger.regions[int(total[-1, :, k].argmax())],
                "worst": worst[k][-1],
                "average": float(total[-1, :, k].mean()),
                "baseline_worst": baseline[k][-1],
                "history": [list(each) for each in zip(times, worst[k], baseline[k], strict=True)],
            }
            for k, kind in enumerate(ledger.kinds)
        }

    def _regions(self, ledger: Ledger) -> list[dict[str, Any]]:
        metered, estimated = ledger.footprints("meter"), ledger.footprints("estimate")
        drift = ledger.drift(self._day, self._last(ledger))
        return [
            {
                "name": name,
                "metered": dict(zip(ledger.kinds, metered[i].tolist(), strict=True)),
                "estimated": dict(zip(ledger.kinds, estimated[i].tolist(), strict=True)),
                "drift": {
                    kind: float(drift[i, k]) if np.isfinite(drift[i, k]) else None
                    for k, kind in enumerate(ledger.kinds)
                },
            }
            for i, name in enumerate(ledger.regions)
        ]

    def summary(self) -> dict[str, Any]:
        """What a dashboard shows of this."""
        with self._lock:
            solves = [asdict(each) for each in self.solves]
        return {
            "footprints": self.footprints(),
            "regions": self.regions(),
            "solves": solves,
            "alerts": [asdict(alert) for alert in self.alerts],
        }

    def _last(self, ledger: Ledger) -> int:
        """The slot after the newest metered one."""
        metered = np.flatnonzero(ledger.metered().any(1))
        return int(metered[-1]) + 1 if len(metered) else 0

    def _books(self, slot: int) -> list[_Figure]:
        ledger, limit = self.ledger, self.thresholds
        found = []
        day = ledger.by_kind()[max(slot - self._day, 0) : slot]
        if (~np.isnan(day).all((1, 2))).sum() >= _FEWEST:
            totals = np.nansum(day, axis=0) * self._weight
            for k, kind in enumerate(ledger.kinds):
                ratio = totals[:, k].max() / max(totals[:, k].mean(), 1e-300)
                who = ledger.regions[int(totals[:, k].argmax())]
                text = f"{who} has {ratio:.2f} times the average {kind} of the last day"
                found.append(_Figure(f"inequity {kind}", "warning", text, float(ratio), limit.inequity))
        until = self._last(ledger)
        metered = ledger.metered()[max(until - self._day, 0) : until]
        if metered.sum(0).max(initial=0) >= _FEWEST:
            drift = ledger.drift(self._day, until)
            for i, k in np.argwhere(np.isfinite(drift) & (metered.sum(0) >= _FEWEST)[:, None]):
                off, region, kind = drift[i, k] - 1.0, ledger.regions[i], ledger.kinds[k]
                text = f"{kind} of {region} is metered {drift[i, k]:.2f} times its estimate"
                found.append(_Figure(f"drift {region} {kind}", "warning", text, abs(float(off)), limit.drift))
        cost = ledger.quantities.index("cost_usd")
        span = slice(max(until - self._day, 0), until)
        said, paid = (ledger.account(what)[span, :, cost] for what in ("estimate", "meter"))
        both = ~np.isnan(said) & ~np.isnan(paid)
        if both.any(1).sum() >= _FEWEST and said[both].sum() > 0.0:
            ratio = float(paid[both].sum() / said[both].sum())
            text = f"energy costs {ratio:.2f} times its estimate"
            found.append(_Figure("cost", "warning", text, ratio - 1.0, limit.cost))
        return found

    def _solves(self) -> list[_Figure]:
        if not self.solves:
            return []
        last = self.solves[-1]
        part = last.seconds / last.allowed if last.allowed > 0.0 else np.inf
        text = f"the last solve took {last.seconds:.2f} s of {last.allowed:.2f} s"
        degraded = 0.0 if last.outcome == "plan" else 1.0
        why = f"served from {last.outcome}" + (f": {last.why}" if last.why else "")
        return [
            _Figure("slow solve", "warning", text, part, self.thresholds.solve),
            _Figure("no plan", "critical", why, degraded, 0.5),
        ]

    def _signals(self, signals: Iterable[Mapping[str, Any]]) -> list[_Figure]:
        found = []
        for each in signals:
            age, fallback = each["age_s"], each.get("fallback")
            late = 2.0 if fallback or age is None else age / self.thresholds.signal_age
            why = each.get("problem") or f"{age:,.0f} s old"
            text = f"{each['kind']} of {each['region']}: {why}"
            if fallback or age is None:
                text += f", {fallback or 'nothing'} instead"
            name = f"signal {each['kind']} {each['region']}"
            found.append(_Figure(name, "warning", text, late, 1.0))
        return found

    def _settle(self, found: list[_Figure], now: np.datetime64) -> None:
        """Raise, keep up and end alerts."""
        holding = set()
        for what, level, text, value, threshold in found:
            raised = self._raised.get(what)
            if value <= (threshold if raised is None else _BACK * threshold):
                continue
            holding.add(what)
            if raised is None:
                alert = Alert(f"{now}Z", level, what, text, value, threshold)
                self._raised[what] = alert, self._keep(alert, now)
            else:
                self._raised[what] = (
                    replace(raised[0], text=text, value=value, threshold=threshold),
                    raised[1],
                )
        for what in set(self._raised) - holding:
            _, number = self._raised.pop(what)
            if number is not None:
                try:
                    self.ledger.store.end_event(number, now)
                except StoreError:
                    continue  # it stays open in the store; the alert itself is over

    def _keep(self, alert: Alert, now: np.datetime64) -> int | None:
        """Its number in the store; None if that cannot be written now, which ends no service."""
        event = Event(now, alert.level, alert.what, alert.text, alert.value, alert.threshold)
        try:
            return self.ledger.store.save_event(event)
        except StoreError:
            return None
