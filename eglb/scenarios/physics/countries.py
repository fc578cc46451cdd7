"""Water consumed per electricity by country, as the World Resources Institute publishes it."""

from __future__ import annotations

from collections.abc import Mapping

from eglb.scenarios.physics.figure import Figure

_WRI = "WRI 2020, Water Use Embedded in Purchased Electricity (CC BY 4.0); no range published"


def _wri(l_per_kwh: float) -> Figure:
    return Figure(l_per_kwh, l_per_kwh, l_per_kwh, "L/kWh", _WRI)


WRI_WATER: Mapping[str, Figure] = {
    "AU": _wri(4.729),
    "BE": _wri(2.620),
    "BR": _wri(18.603),
    "CA": _wri(8.166),
    "CH": _wri(5.664),
    "CL": _wri(10.523),
    "CN": _wri(6.006),
    "DE": _wri(1.947),
    "ES": _wri(6.209),
    "FI": _wri(4.529),
    "FR": _wri(3.674),
    "GB": _wri(2.329),
    "HK": _wri(6.006),
    "ID": _wri(2.255),
    "IE": _wri(1.477),
    "IN": _wri(3.437),
    "IT": _wri(4.837),
    "JP": _wri(2.306),
    "KR": _wri(1.888),
    "MX": _wri(5.305),
    "MY": _wri(1.678),
    "NL": _wri(3.433),
    "NO": _wri(6.663),
    "NZ": _wri(14.968),
    "PL": _wri(2.513),
    "SE": _wri(6.032),
    "TH": _wri(2.890),
    "TW": _wri(1.489),
    "US-AZ": _wri(4.966),
    "US-CA": _wri(5.189),
    "US-IA": _wri(3.102),
    "US-IL": _wri(2.220),
    "US-NV": _wri(4.966),
    "US-OH": _wri(2.220),
    "US-OR": _wri(9.482),
    "US-SC": _wri(2.295),
    "US-TX": _wri(1.270),
    "US-UT": _wri(2.578),
    "US-VA": _wri(2.313),
    "US-WA": _wri(9.482),
    "US-WY": _wri(2.578),
}
"""L/kWh by ISO country code, in the United States by the grid that serves a state; reservoirs are counted."""
