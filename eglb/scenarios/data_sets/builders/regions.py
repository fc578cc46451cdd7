"""Regions of three cloud providers with what is published of each, and the raw tables behind that."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eglb.scenarios.data_sets.sets import GOOGLE, GSF, MAPS, PLACES, SPRUCE, STRESS
from eglb.scenarios.data_sets.text_tables import Sources, shortest, write_rows

GSF_NAMES = {"aws": "Amazon Web Services", "azure": "Microsoft Azure", "gcp": "Google Cloud"}
CENTERS, METADATA = "config/data_centers/data_centers.json", "Cloud_Region_Metadata.csv"
RESOURCES = "src/main/resources/"
GOOGLE_YEARS = range(2019, 2025)
COPIED = {
    "aws_pue_wue_2024.csv": (SPRUCE, RESOURCES + "aws-pue-wue.csv"),
    "azure_pue_wue.csv": (SPRUCE, RESOURCES + "azure-pue-wue.csv"),
    "gsf_cloud_region_metadata.csv": (GSF, METADATA),
    "us_state_water_stress_bws.csv": (STRESS, "data/external/wri_aqueduct/us_state_stress.csv"),
}
HEADING = [
    "provider",
    "region",
    "name",
    "country",
    "lat",
    "lon",
    "zone",
    "pue_gsf",
    "pue_gsf_year",
    "wue_gsf",
    "wue_gsf_year",
    "zone_gsf",
    "pue",
    "wue_l_kwh",
    "water_stress_cat",
    "wcf_l_kwh",
    "gcp_cfe_2024",
    "gcp_grid_ci_2024",
    "in_zones123",
]


def build(sources: Sources, data: Path, out: Path) -> None:
    """Write ``regions/``."""
    folder = out / "regions"
    folder.mkdir(parents=True)
    for name, (repository, path) in COPIED.items():
        shutil.copyfile(sources.path(repository, path), folder / name)
    google = [
        [str(year), region, place, _number(share), _number(carbon)]
        for year in GOOGLE_YEARS
        for region, place, share, carbon in sources.rows(GOOGLE, f"data/yearly/{year}.csv")[1:]
    ]
    heading = ["year", "region", "location", "google_cfe", "grid_ci_g_kwh"]
    write_rows(folder / "gcp_cfe_carbon_2019_2024.csv", heading, google)
    write_rows(folder / "cloud_regions.csv", HEADING, _regions(sources, google))


def _regions(sources: Sources, google: list[list[str]]) -> list[list[str]]:
    """Rows of ``cloud_regions.csv``, sorted by provider and region."""
    centers = json.loads(sources.path(MAPS, CENTERS).read_text("utf-8"))
    places = {
        name: json.loads(sources.path(PLACES, places_path(name)).read_text("utf-8")) for name in GSF_NAMES
    }
    metadata = sources.records(GSF, METADATA)
    efficiency = {"aws": _aws(sources), "azure": _azure(sources), "gcp": lambda region: None}
    facts = {name: _facts(sources, name) for name in ("water-stress.csv", "wcf.csv")}
    of_google = {row[1]: row[3:] for row in google if row[0] == str(GOOGLE_YEARS[-1])}
    measured = _zones_with_carbon(sources)
    rows = []
    for provider, known in places.items():
        names = {*known, *(key.partition("-")[2] for key in centers if key.startswith(f"{provider}-"))}
        for region in sorted(names):
            center = centers.get(f"{provider}-{region}")
            reported = [
                row
                for row in metadata
                if row["cloud-provider"] == GSF_NAMES[provider] and row["cloud-region"] == region
            ]
            pue, wue = (_latest(reported, f"{kind}-usage-effectiveness") for kind in ("power", "water"))
            zone = _latest(reported[::-1], "em-zone-id")
            stated = efficiency[provider](region) or (pue[0], "")
            home = center["zoneKey"] if center else zone[0]
            rows.append(
                [
                    provider,
                    region,
                    *_place(known.get(region), center, provider),
                    home,
                    *(_number(cell) for cell in (*pue, *wue)),
                    zone[0],
                    *map(_number, stated),
                    *(_number(fact.get((provider, region), "")) for fact in facts.values()),
                    *(of_google.get(region, ["", ""]) if provider == "gcp" else ["", ""]),
                    "yes" if home in measured else "",
                ]
            )
    return rows


def places_path(provider: str) -> str:
    """Where the places of one provider's regions are."""
    return f"cloud_regions_info/mappings/{provider}_regions.json"


def _place(known: Any, center: Any, provider: str) -> list[str]:
    """Name, country, latitude and longitude."""
    if known:
        return [known["location"], known["country"], *shortest((known["latitude"], known["longitude"]))]
    lon, lat = center["lonlat"]
    if provider == "azure":
        lat, lon = round(lat, 4), round(lon, 4)
    return [center["displayName"], "", *shortest((lat, lon))]


def _latest(reported: list[dict[str, str]], column: str) -> tuple[str, str]:
    """The value of the last year that has one, and that year; of two rows of a year, the lower one's."""
    found = [(row[column], row["year"]) for row in reported if row[column]]
    last = max((year for _, year in found), default="")
    return next((pair for pair in reversed(found) if pair[1] == last), ("", ""))


def _aws(sources: Sources) -> Callable[[str], tuple[str, str]]:
    """PUE and L/kWh by region; a region's own row stands below that of its continent."""
    table = [row[1:] for row in sources.rows(*COPIED["aws_pue_wue_2024.csv"])]

    def stated(region: str) -> tuple[str, str]:
        fitting = [row for row in table if re.fullmatch(row[0], region)][::-1]
        pue, wue = (next((row[i] for row in fitting if row[i]), "") for i in (1, 2))
        return pue, wue

    return stated


def _azure(sources: Sources) -> Callable[[str], tuple[str, str] | None]:
    """PUE and L/kWh by region."""
    return {row[1]: (row[2], row[3]) for row in sources.rows(*COPIED["azure_pue_wue.csv"])}.get


def _facts(sources: Sources, name: str) -> dict[tuple[str, str], str]:
    return {(row[0], row[1]): row[2] for row in sources.rows(SPRUCE, RESOURCES + name)[1:]}


def _zones_with_carbon(sources: Sources) -> set[str]:
    from eglb.scenarios.data_sets.manifest import sources as listed
    from eglb.scenarios.data_sets.sets import CARBON_FOLDER

    return {Path(s.path).stem for s in listed() if s.path.startswith(CARBON_FOLDER)}


def _number(cell: str) -> str:
    return repr(float(cell)) if cell else ""
