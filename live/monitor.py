"""Is all well? Footprints against the baseline, drift of estimates, what solves took, and alerts about it.

An alert is raised when a figure passes its threshold and is over when it is back below nine tenths of it;
both are events in the store.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from eglb.live.ledger import Ledger
from eglb.live.store import Event, StoreError

Array = np.ndarray

_DAY_S = 86_400.0
_BACK = 0.9
_SOLVES, _HISTORY = 50, 2000
_FEWEST = 6
"""Slots that must be known before a day's figure is judged."""


@dataclass(frozen=True)
class Thresholds:
    """From where on a figure is an alert.

    Parameters
    ----------
    inequity : the worst region's footprint over the average one, last day.
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
    """Watches a ledger; any thread may call it.

    Parameters
    ----------
    region_weight : (N, K) multiplies a region's footprint where the worst one is looked for.
    """

    def __init__(self, ledger: Ledger, region_weight: Array, thresholds: Thresholds | None = None) -> None:
        self.ledger = ledger
        self.thresholds = thresholds or Thresholds()
        self._weight = region_weight
        self._lock = threading.Lock()
        self._raised: dict[str, tuple[Alert, int | None]] = {}
        self.solves: deque[Solve] = deque(maxlen=_SOLVES)
        self.solves_by_outcome: dict[str, int] = {}
        self.solve_seconds = 0.0
        self._day = max(1, round(_DAY_S / ledger.slot_seconds))

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

        Totals are metered where meters have spoken and not region-weighted; the worst is the weighted worst.
        """
        with self._lock:
            ledger = self.ledger
        first = len(ledger.quantities) - len(ledger.kinds)
        run, base = ledger.actual[:, :, first:], ledger.account("baseline")[:, :, first:]
        known = np.flatnonzero(~np.isnan(run).all((1, 2)))
        if not len(known):
            return {}
        last = int(known[-1]) + 1
        sums = [np.nancumsum(each[:last], axis=0) for each in (run, base)]
        step = -(-last // _HISTORY)
        shown = np.unique(np.append(np.arange(step - 1, last, step), last - 1))
        out = {}
        for k, kind in enumerate(ledger.kinds):
            weighted = sums[0][:, :, k] * self._weight[:, k]
            worst = weighted.argmax(1)
            own = sums[0][np.arange(last), worst, k]
            nearest = sums[1][np.arange(last), (sums[1][:, :, k] * self._weight[:, k]).argmax(1), k]
            out[kind] = {
                "worst_region": ledger.regions[int(worst[-1])],
                "worst": float(own[-1]),
                "average": float(sums[0][-1, :, k].mean()),
                "baseline_worst": float(nearest[-1]),
                "history": [[f"{ledger.start_of(int(t))}Z", float(own[t]), float(nearest[t])] for t in shown],
            }
        return out

    def regions(self) -> list[dict[str, Any]]:
        """By region: footprints as metered and as estimated, and their drift in the last day."""
        with self._lock:
            ledger = self.ledger
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
        window = slice(max(slot - self._day, 0), slot)
        first = len(ledger.quantities) - len(ledger.kinds)
        found = []
        day = ledger.actual[window]
        if (~np.isnan(day).all((1, 2))).sum() >= _FEWEST:
            totals = np.nansum(day[:, :, first:], axis=0) * self._weight
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
            age, limit = float(each["age_s"]), self.thresholds.signal_age
            name = f"signal {each['kind']} {each['region']}"
            why = each.get("problem") or f"{age:,.0f} s old"
            text = f"{each['kind']} of {each['region']}: {why}"
            if each.get("fallback"):
                text += f", {each['fallback']} instead"
                age = max(age, 2.0 * limit)
            found.append(_Figure(name, "warning", text, age / limit, 1.0))
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
                self._raised[what] = replace(raised[0], text=text, value=value), raised[1]
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
