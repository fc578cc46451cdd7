"""Prometheus metrics: read from the store, the alerts and the router at every scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from eglb.live.accounting.alerts import Alert
from eglb.live.routing.weights import WeightTable
from eglb.live.storage.store import Entry


class Watch(Protocol):
    """Who watches the books, `eglb.live.accounting.alerts.Monitor` or what it said to another process."""

    solves_by_outcome: dict[str, int]
    solve_seconds: float

    @property
    def alerts(self) -> list[Alert]: ...
    def footprints(self) -> dict[str, dict[str, Any]]: ...
    def regions(self) -> list[dict[str, Any]]: ...
    def summary(self) -> dict[str, Any]: ...
    def meter(self, entries: Sequence[Entry]) -> None: ...


class LiveMetrics(Collector):
    """Names start with ``eglb_``; footprints are unweighted totals of the accounting period so far.

    Parameters
    ----------
    table : what is published; None before the first. now : of the service's clock.
    routed : decisions so far by (gateway, region). signals : rows with kind, region, age_s
    (None where it has none) and fallback.
    healthy : by region. gap : the certified running gap, None without one.
    coordinator : `up` and `restarts` of the process that plans, if it is another. jobs : how many there are,
    by state.
    """

    def __init__(
        self,
        monitor: Watch,
        *,
        table: Callable[[], WeightTable | None],
        now: Callable[[], np.datetime64],
        routed: Callable[[], Mapping[tuple[str, str], int]],
        signals: Callable[[], Iterable[Mapping[str, Any]]],
        healthy: Callable[[], Mapping[str, bool]],
        gap: Callable[[], float | None],
        coordinator: Callable[[], Mapping[str, Any] | None] = lambda: None,
        jobs: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._monitor = monitor
        self._table, self._now, self._routed = table, now, routed
        self._signals, self._healthy, self._gap = signals, healthy, gap
        self._coordinator, self._jobs = coordinator, jobs
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of time: names depend on the fleet."""
        return []

    def collect(self) -> Iterable[Metric]:
        """All figures as they are now."""
        yield from self._footprints()
        yield from self._routing()
        yield from self._health()
        jobs = GaugeMetricFamily("eglb_jobs", "How many there are", labels=["state"])
        for state, count in self._jobs().items():
            jobs.add_metric([state], count)
        yield jobs

    def _footprints(self) -> Iterable[Metric]:
        totals = GaugeMetricFamily(
            "eglb_footprint", "Of a region in this period so far", labels=["region", "kind", "account"]
        )
        drift = GaugeMetricFamily(
            "eglb_drift_ratio", "Metered over estimated footprint, last day", labels=["region", "kind"]
        )
        for region in self._monitor.regions():
            for account in ("metered", "estimated"):
                for kind, value in region[account].items():
                    totals.add_metric([region["name"], kind, account], value)
            for kind, ratio in region["drift"].items():
                if ratio is not None:
                    drift.add_metric([region["name"], kind], ratio)
        worst = GaugeMetricFamily(
            "eglb_worst_footprint",
            "Of the worst region, region-weighted",
            labels=["kind", "region", "account"],
        )
        for kind, found in self._monitor.footprints().items():
            worst.add_metric([kind, found["worst_region"], "actual"], found["worst"])
            worst.add_metric([kind, "", "baseline"], found["baseline_worst"])
        yield from (totals, drift, worst)

    def _routing(self) -> Iterable[Metric]:
        table = self._table()
        if table is not None:
            yield GaugeMetricFamily("eglb_table_version", "Of the weights in force", value=table.version)
            age = (self._now() - table.start) / np.timedelta64(1, "s")
            yield GaugeMetricFamily("eglb_table_age_seconds", "Since its slot began", value=float(age))
            planned = GaugeMetricFamily(
                "eglb_table_is_plan", "Whether it was solved for its slot", labels=["source"]
            )
            planned.add_metric([table.source], float(table.source == "plan"))
            share = GaugeMetricFamily("eglb_weight", "Share of a gateway", labels=["gateway", "region"])
            for j, gateway in enumerate(table.gateways):
                for i, region in enumerate(table.regions):
                    if table.reach[j, i]:
                        share.add_metric([gateway, region], float(table.share[j, i]))
            work = GaugeMetricFamily("eglb_work_mw", "IT power of jobs", labels=["region"])
            for region, mw in zip(table.regions, table.work_load, strict=True):
                work.add_metric([region], float(mw))
            yield from (planned, share, work)
        routed = CounterMetricFamily("eglb_routed_requests", "Decisions", labels=["gateway", "region"])
        for (gateway, region), count in self._routed().items():
            routed.add_metric([gateway, region], count)
        yield routed

    def _health(self) -> Iterable[Metric]:
        healthy = GaugeMetricFamily("eglb_region_healthy", "1 or 0", labels=["region"])
        for region, well in self._healthy().items():
            healthy.add_metric([region], float(well))
        age = GaugeMetricFamily("eglb_signal_age_seconds", "Of the value in use", labels=["kind", "region"])
        stands_in = GaugeMetricFamily(
            "eglb_signal_fallback", "1 where a fallback stands in", labels=["kind", "region"]
        )
        for each in self._signals():
            if each["age_s"] is not None:  # an annual mean is of no time
                age.add_metric([each["kind"], each["region"]], each["age_s"])
            stands_in.add_metric([each["kind"], each["region"]], float(bool(each.get("fallback"))))
        solves = CounterMetricFamily("eglb_solves", "Slots by how they were planned", labels=["outcome"])
        for outcome, count in self._monitor.solves_by_outcome.items():
            solves.add_metric([outcome], count)
        spent = CounterMetricFamily(
            "eglb_solve_seconds", "Spent on solving", value=self._monitor.solve_seconds
        )
        alerts = GaugeMetricFamily("eglb_alert", "Holds now; the figure", labels=["what", "level"])
        for alert in self._monitor.alerts:
            alerts.add_metric([alert.what, alert.level], alert.value)
        yield from (healthy, age, stands_in, solves, spent, alerts)
        if (process := self._coordinator()) is not None:
            up = float(process["up"])
            yield GaugeMetricFamily("eglb_coordinator_up", "Whether the process that plans runs", value=up)
            yield CounterMetricFamily(
                "eglb_coordinator_restarts", "Of the process that plans", value=process["restarts"]
            )
        gap = self._gap()
        if gap is not None:
            yield GaugeMetricFamily("eglb_certified_gap", "Running, by meters alone", value=gap)
