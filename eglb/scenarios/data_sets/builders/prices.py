"""Wholesale prices of 23 zones, USD per MWh by the hour in UTC, from files in local time and currency.

The source's own files in UTC and dollars are not used: Australian dollars are taken for American ones
there, some clocks are shifted twice or by an hour, and gaps are smoothed away. Rules here, for every zone
alike: local clock to UTC (hours that a change of the clock skips or repeats are left out, doubled ones
averaged), one exchange rate a year, a gap's first three hours on a line, the rest from a day, two days or a
week before, else from a day or a week after.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.data_sets.sets import CLUSTER
from eglb.scenarios.data_sets.text_tables import Sources, shortest, write_rows

FIRST, YEARS = np.datetime64("2020-01-01T00", "h"), range(2020, 2025)
HOURS = 35_064  # of the file, to the end of 2023; what comes after fills its last gaps
LINE_HOURS = 3
FILL_FROM_HOURS = (24, 48, 168, -24, -168)
# Units of currency per US dollar, means of the years 2020 to 2024, rounded (US Internal Revenue Service).
PER_USD = {
    "EUR": (0.877, 0.846, 0.951, 0.924, 0.924),
    "AUD": (1.452, 1.332, 1.442, 1.506, 1.516),
    "BRL": (5.151, 5.395, 5.165, 4.994, 5.392),
    "CAD": (1.341, 1.254, 1.301, 1.35, 1.37),
    "INR": (74.1, 73.94, 78.6, 82.57, 83.68),
    "JPY": (106.73, 109.82, 131.46, 140.51, 151.35),
    "KRW": (1179.2, 1144.9, 1291.7, 1306.7, 1363.4),
    "SGD": (1.379, 1.344, 1.379, 1.343, 1.336),
    "CLP": (792.2, 759.3, 872.3, 840.1, 944.3),
    "ZAR": (16.458, 14.789, 16.377, 18.457, 18.326),
    "USD": (1.0,) * 5,
}


@dataclass(frozen=True)
class Zone:
    """Where a zone's prices are, their currency, and their clock: a time zone, or hours ahead of UTC."""

    folder: str
    currency: str
    clock: str | float


_EUROPE = "Europe/Paris"
ZONES = {
    **{zone: Zone(zone, "EUR", _EUROPE) for zone in ("AT", "BE", "CH")},
    "DE": Zone("DE-LU", "EUR", _EUROPE),
    **{zone: Zone(zone, "EUR", _EUROPE) for zone in ("ES", "FR", "NL", "PT")},
    "GB": Zone("GB_incompleted", "EUR", _EUROPE),
    "AU-NSW": Zone("AU-NSW", "AUD", 10.0),
    "AU-VIC": Zone("AU-VIC", "AUD", 10.0),
    "BR-CS": Zone("BR", "BRL", -3.0),
    "CA-ON": Zone("CA-ON", "CAD", -5.0),
    "CL-SEN": Zone("CL-SIC", "CLP", "America/Santiago"),
    "IN-WE": Zone("IN", "INR", 5.5),
    "JP-TK": Zone("JP-TK", "JPY", 9.0),
    "KR": Zone("KR", "KRW", 9.0),
    "SG": Zone("SG", "SGD", 8.0),
    "US-CAL-CISO": Zone("US-CAL-CISO", "USD", 0.0),
    "US-MIDA-PJM": Zone("US-MIDA-PJM", "USD", 0.0),
    "US-NY-NYIS": Zone("US-NY-NYIS", "USD", 0.0),
    "US-TEX-ERCO": Zone("US-TEX-ERCO", "USD", 0.0),  # its clock is written in the file
    "ZA": Zone("ZA", "ZAR", 2.0),
}


def build(sources: Sources, data: Path, out: Path) -> None:
    """Write ``prices22/``: the series and the exchange rates."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    times = (FIRST + np.arange(HOURS)).astype("datetime64[us]")
    series = {name: usd_per_mwh(sources, name)[:HOURS].astype(np.float32) for name in ZONES}
    folder = out / "prices22"
    folder.mkdir(parents=True)
    path = folder / "price_usd_mwh_hourly_2020_2023.parquet"
    pq.write_table(pa.table({**series, "time_utc": times}), path, compression="zstd")

    names = ("EUR", "AUD", "BRL", "CAD", "INR", "JPY", "KRW", "SGD", "CLP", "ZAR", "USD")
    rows = (
        [str(year), *shortest(round(1.0 / PER_USD[name][i], 6) for name in names)]
        for i, year in enumerate(YEARS)
    )
    write_rows(folder / "fx_usd_per_unit.csv", ["year", *names], rows)


def usd_per_mwh(sources: Sources, name: str) -> Array:
    """Hours of 2020 to 2024 as far as the source goes, rounded to cents; NaN where nothing can fill a gap."""
    zone = ZONES[name]
    rows = [row for year in YEARS for row in sources.rows(CLUSTER, _path(zone.folder, year))[1:]]
    local = _hourly(rows, zone.clock)
    years = (FIRST + np.arange(len(local))).astype("datetime64[Y]").astype(int) + 1970 - YEARS[0]
    rate = 1.0 / np.array(PER_USD[zone.currency])
    usd = on_a_line(local * rate[np.minimum(years, len(rate) - 1)])
    for hours in FILL_FROM_HOURS:
        usd = np.where(np.isfinite(usd), usd, _shifted(usd, hours))
    return np.round(usd, 2)


def _path(folder: str, year: int) -> str:
    stem = {"GB_incompleted": "GB", "CL-SIC": "CL"}.get(folder, folder)
    return f"data/electricity_prices/processed/{folder}/{year}/{stem}_electricity_prices_{year}.csv"


def _hourly(rows: list[list[str]], clock: str | float) -> Array:
    """Means by hour from 2020-01-01 00:00 UTC on, in local currency, NaN where there is nothing."""
    minutes, value = [], []
    for stamp, price in rows:
        if (minute := _utc_minute(stamp, clock)) is not None:
            minutes.append(minute)
            value.append(float(price))
    # A clock half an hour off the hour: half hours, on a line between, of which full hours are taken.
    step = 60 if clock != 5.5 else 30
    slot = np.array(minutes) // step
    first, slots = min(int(slot.min()), 0), int(slot.max()) + 1
    total, count = np.zeros(slots - first), np.zeros(slots - first)
    np.add.at(total, slot - first, value)
    np.add.at(count, slot - first, 1.0)
    mean = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean[-first:] if step == 60 else on_a_line(mean)[-first::2]


def _utc_minute(stamp: str, clock: str | float) -> int | None:
    """Minutes since 2020-01-01 00:00 UTC; None for an hour that a change of the clock skips or repeats."""
    moment = datetime.fromisoformat(stamp)
    if isinstance(clock, str):
        moment = moment.replace(tzinfo=ZoneInfo(clock))
        if moment.utcoffset() != moment.replace(fold=1).utcoffset():
            return None
    elif moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    ahead = 0.0 if isinstance(clock, str) else clock
    return round((moment - datetime(2020, 1, 1, tzinfo=UTC)).total_seconds() / 60.0 - 60.0 * ahead)


def on_a_line(values: Array) -> Array:
    """The first three of every run of NaN between two numbers lie on the line between them."""
    known = np.flatnonzero(np.isfinite(values))
    at = np.arange(len(values))
    line = np.interp(at, known, values[known], left=np.nan)
    before = np.maximum.accumulate(np.where(np.isfinite(values), at, -len(values)))
    return np.where(at - before <= LINE_HOURS, line, values)


def _shifted(values: Array, hours: int) -> Array:
    """Each hour has the value of `hours` before, NaN where there is none."""
    out = np.full_like(values, np.nan)
    if hours > 0:
        out[hours:] = values[:-hours]
    else:
        out[:hours] = values[-hours:]
    return out
