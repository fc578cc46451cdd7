"""The wide-area network of a scenario: where the coordinator stands, and how far each region is from it.

Round-trip times are ``"measured"`` (between cloud regions, in the data directory), ``"modelled"`` (by
distance) or read from a file of one's own. Rates are assumptions, the same for every region, unless that file
says otherwise.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eglb.coordinator.fleet.network import Network
from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.scenarios.catalog import data_directory
from eglb.scenarios.folder.tables import Findings, open_table, suggest
from eglb.scenarios.geography import great_circle_km, modelled_rtt_ms
from eglb.scenarios.scenario import Scenario

REGION_MBIT_S, COORDINATOR_MBIT_S = 100.0, 1000.0
"""Assumed: a small part of what one virtual machine may send to another region."""
SOURCES = ("measured", "modelled")
_NEAR_KM = 600.0
"""A region with no measured place so near has its round trips modelled."""


def lay_network(
    scenario: Scenario, source: str | Path, *, coordinator: str | None = None, data: Path | None = None
) -> Network:
    """The lines from a coordinator to the scenario's regions.

    Parameters
    ----------
    source : ``"measured"``, ``"modelled"``, or a table ``region,rtt_ms[,down_mbit_s,up_mbit_s]`` of round
        trips to a coordinator that stands where the table was measured.
    coordinator : the region it stands in; default the one whose slowest round trip is the shortest.
    data : the data directory, as in `eglb.load`.

    Raises
    ------
    InputError : an unknown region, a missing or wrong file, or a place named for a file that has its own.
    """
    if str(source) not in SOURCES:
        if coordinator is not None:
            raise InputError(f"coordinator {coordinator!r}: {source} says how far it is from each region")
        return read_network(Path(source), scenario)
    if coordinator is not None and coordinator not in scenario.regions:
        hint = suggest(coordinator, scenario.regions) or f"; there are {', '.join(scenario.regions)}"
        raise InputError(f"coordinator {coordinator!r} is no region of {scenario.name}{hint}")
    if str(source) == "measured":
        rtt_ms, note = measured_between(scenario, data)
    else:
        rtt_ms, note = modelled_between(scenario), "round trips modelled by distance"
    at = place_coordinator(rtt_ms) if coordinator is None else scenario.regions.index(coordinator)
    rate = np.full(len(scenario.regions), REGION_MBIT_S)
    return Network(scenario.regions[at], note, rtt_ms[at], rate, rate, COORDINATOR_MBIT_S)


def place_coordinator(rtt_ms: Array) -> int:
    """The region from which the slowest of all round trips (N, N) is the shortest; the first such."""
    return int(rtt_ms.max(axis=1).argmin())


def modelled_between(scenario: Scenario) -> Array:
    """(N, N) ms by distance, see `eglb.scenarios.geography.modelled_rtt_ms`."""
    return modelled_rtt_ms(_distance_km(scenario.region_lat, scenario.region_lon, scenario))


def measured_between(scenario: Scenario, data: Path | None = None) -> tuple[Array, str]:
    """(N, N) ms, and in words what of it is measured.

    Between two regions it is the mean of both directions between the measured places nearest to them, with
    the fibre from there by distance. Regions with the same nearest place are modelled between each other,
    those with none within 600 km to all.

    Raises
    ------
    InputError : a table is missing or wrong.
    """
    _, lat, lon, table = measured_places(data_directory(data))
    rtt_ms = modelled_between(scenario)
    away_km = _distance_km(lat, lon, scenario).T
    place, off_km = away_km.argmin(axis=1), away_km.min(axis=1)
    near = off_km <= _NEAR_KM
    fibre_ms = modelled_rtt_ms(off_km) - modelled_rtt_ms(np.zeros_like(off_km))
    measured = ((table + table.T) / 2)[np.ix_(place, place)] + fibre_ms[:, None] + fibre_ms[None]
    far = [name for name, good in zip(scenario.regions, near, strict=True) if not good]
    note = "round trips measured between the nearest cloud regions"
    if far:
        shown = ", ".join(far[:5]) + (" ..." if len(far) > 5 else "")
        note += f", modelled by distance for {shown}"
    return np.where(near[:, None] & near[None] & np.isfinite(measured), measured, rtt_ms), note


def read_network(path: Path, scenario: Scenario) -> Network:
    """The lines in a table ``region,rtt_ms[,down_mbit_s,up_mbit_s]``.

    Raises
    ------
    InputError : the file cannot be read, lacks a region, or holds what is no round-trip time or rate.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; a network is {', '.join(SOURCES)} or a table region,rtt_ms")
    findings = Findings()
    table = open_table(path, ["region", "rtt_ms"], findings)
    if table is not None:
        rates = [name for name in ("down_mbit_s", "up_mbit_s") if name in table.columns]
        columns = ["rtt_ms", *rates]
        names, values = table.names("region", findings), table.numbers(columns, findings)
        table.check(values[:, :1], columns[:1], values[:, :1] < 0.0, "negative", "is negative", findings)
        table.check(values[:, 1:], rates, values[:, 1:] <= 0.0, "rate", "is not above 0", findings)
        for name in dict.fromkeys(n for n in names if names.count(n) > 1):
            findings.add(table.file, "region", f"column region: {name} appears twice")
        for name in sorted(set(scenario.regions) - set(names)):
            findings.add(table.file, "region", f"column region: {name} is missing{suggest(name, names)}")
    if table is None or findings.messages():
        raise InputError(findings.messages())
    rows = values[[names.index(region) for region in scenario.regions]]
    of = {name: rows[:, column] for column, name in enumerate(columns)}
    rate = np.full(len(scenario.regions), REGION_MBIT_S)
    return Network(
        "elsewhere",
        f"round trips of {path.name}",
        of["rtt_ms"],
        of.get("down_mbit_s", rate),
        of.get("up_mbit_s", rate),
        COORDINATOR_MBIT_S,
    )


def _distance_km(lat: Array, lon: Array, scenario: Scenario) -> Array:
    """(places, N) great-circle distances from each place to each region."""
    return great_circle_km(lat[:, None], lon[:, None], scenario.region_lat[None], scenario.region_lon[None])


def measured_places(folder: Path) -> tuple[tuple[str, ...], Array, Array, Array]:
    """Names, latitude, longitude (M,) and round trips (M, M) ms of the measured cloud regions, NaN to
    themselves.

    Raises
    ------
    InputError : a table is missing or wrong.
    """
    paths = folder / "latency" / "gcp_rtt_ms.csv", folder / "regions" / "cloud_regions.csv"
    if missing := [path for path in paths if not path.is_file()]:
        raise InputError(
            f"{path}: no such file; measured round trips are read from the data directory: give --data DIR or"
            " set EGLB_DATA"
            for path in missing
        )
    findings = Findings()
    table = open_table(paths[0], ["sending_region"], findings)
    places = open_table(paths[1], ["provider", "region", "lat", "lon"], findings)
    if table is not None and places is not None:
        names = table.names("sending_region", findings)
        for name in sorted(set(names) - set(table.columns)):
            findings.add(table.file, "column", f"column {name} is missing")
        here = {
            name: row
            for row, (provider, name) in enumerate(
                zip(places.names("provider", findings), places.names("region", findings), strict=True)
            )
            if provider == "gcp"
        }
        for name in sorted(set(names) - set(here)):
            findings.add(places.file, "region", f"column region: {name} of gcp is missing")
        if not findings.messages():
            rtt_ms = table.numbers(names, findings, blank=True)
            lat, lon = places.numbers(["lat", "lon"], findings)[[here[name] for name in names]].T
    if findings.messages():
        raise InputError(f"{folder}: {problem}" for problem in findings.messages())
    return tuple(names), lat, lon, rtt_ms
