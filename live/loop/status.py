"""Status of the control loop: signals, certificate and prices, as the state shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from eglb.live.accounting.series import Series, Slot
from eglb.live.loop.certificate import ServiceCertificate
from eglb.live.signals.reading import Reading

Readings = Mapping[tuple[str, str], Reading]


def signal_rows(readings: Readings) -> list[dict[str, Any]]:
    """Signals as dashboards and monitors take them."""
    return [
        {
            "name": kind,
            "kind": kind,
            "region": region,
            "value": reading.value,
            "unit": reading.unit,
            "age_s": reading.age_s,
            "source": reading.source,
            "fallback": reading.fallback,
            "ok": reading.ok,
            "problem": reading.problem,
        }
        for (kind, region), reading in readings.items()
    ]


def kept_signals(
    readings: Readings, series: Series, start: np.datetime64, known: Slot
) -> list[dict[str, Any]]:
    """Signals as the store keeps them, with the values that the slot was planned by."""
    return [
        {
            "kind": kind,
            "region": region,
            "value": value,
            "unit": reading.unit,
            "at": start if reading.at_utc is None else reading.at_utc,
            "source": reading.source[:200],
            "fallback": reading.fallback,
            "problem": reading.problem or None,
        }
        for (kind, region), reading in readings.items()
        if np.isfinite(value := series.signal(kind, region, known.price, known.intensity))
    ]


def certificate_shown(certificate: ServiceCertificate) -> dict[str, Any] | None:
    """Where the period stands, and how its gap went; None before the first slot was metered."""
    if certificate.latest is None:
        return None
    standing, gap = certificate.latest
    return {
        "objective": standing.objective,
        "lower_bound": standing.lower_bound,
        "gap": gap,
        "history": [[f"{time}Z", gap] for time, gap in certificate.history],
    }


def prices_shown(series: Series, slot: int) -> dict[str, dict[str, float]]:
    """USD per MWh at the meter, by region."""
    fleet, price = series.parts.scenario, series.price[:, series.begun + slot]
    paid = fleet.pue * fleet.slot_hours
    return {name: {"price": float(price[i] / paid[i])} for i, name in enumerate(fleet.regions)}
