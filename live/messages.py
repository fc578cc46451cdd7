"""What the HTTP API takes and answers, as its OpenAPI document shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)

MOST_ROWS = 5_000
LONGEST_POLL_S = 60.0


def _text(value: Any) -> Any:
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("is no date and time such as 2023-07-01T00:00:00Z")
    return value


Name = Annotated[str, Field(min_length=1, max_length=200)]
Session = Annotated[str, Field(min_length=1, max_length=256)]
Amount = Annotated[float, Field(ge=0.0, le=1e12, allow_inf_nan=False, strict=True)]
Slot = Annotated[
    AwareDatetime,
    BeforeValidator(_text),
    WithJsonSchema({"type": "string", "format": "date-time", "description": "Start of a slot."}),
]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Told(BaseModel):
    """Answers may grow: whoever reads them ignores what it does not know."""


class RouteQuery(_Asked):
    gateway: Name
    session: Session | None = None


class WeightsQuery(_Asked):
    gateway: Name | None = None
    wait: Annotated[float, Field(ge=0.0, le=LONGEST_POLL_S, allow_inf_nan=False)] = Field(
        0.0, description="Seconds to wait for weights other than those of If-None-Match."
    )


class ExplainQuery(_Asked):
    region: Name | None = None
    gateway: Name | None = None


class EventsQuery(_Asked):
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class RegionMeter(_Asked):
    """What a region used and emitted in a slot."""

    slot: Slot
    region: Name
    energy_mwh: Amount | None = Field(None, description="At the meter.")
    load_mw: Amount | None = Field(None, description="IT power, mean over the slot.")
    cost_usd: Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False, strict=True)] | None = None
    latency_ms: Amount | None = None
    footprints: dict[str, Amount] = Field(
        {}, max_length=100, description="By kind, in the scenario's units; not region-weighted."
    )


class GatewayMeter(_Asked):
    """What was asked for at a gateway in a slot."""

    slot: Slot
    gateway: Name
    demand_mw: Amount = Field(description="IT power, mean over the slot.")


def _whose(row: Any) -> str:
    return "gateway" if isinstance(row, Mapping) and "gateway" in row else "region"


def _many(body: Any) -> str:
    return "rows" if isinstance(body, list) else "row"


Meter = Annotated[
    Annotated[RegionMeter, Tag("region")] | Annotated[GatewayMeter, Tag("gateway")], Discriminator(_whose)
]
_Rows = Annotated[list[Meter], Field(min_length=1, max_length=MOST_ROWS)]
Meters = Annotated[Annotated[Meter, Tag("row")] | Annotated[_Rows, Tag("rows")], Discriminator(_many)]


class HealthReport(_Asked):
    region: Name
    healthy: Annotated[bool, Field(strict=True)]
    why: Annotated[str, Field(max_length=200)] = ""


class Problem(_Told):
    """Why something was refused."""

    detail: str
    problems: list[str] = []


class Route(_Told):
    gateway: str
    region: str
    version: int = Field(description="Of the table of weights.")
    why: str = Field(description="plan, last plan, nearest or affinity; and who is down, if it matters.")


class Weights(_Told):
    """Regions that are down have no weight; a gateway without weights cannot be served at present."""

    version: int
    slot_utc: datetime
    seconds: float
    source: Literal["plan", "last plan", "nearest"]
    note: str
    down: list[str] = Field(description="Regions that are; `/v1/explain` says why.")
    gateways: dict[str, dict[str, float]] = Field(description="Share of requests by region; adds up to 1.")


class Metered(_Told):
    values: int = Field(description="That were entered.")


class Reported(_Told):
    region: str
    healthy: bool = Field(description="As the service sees it now: while nobody says it is down.")
    why: str
    changed: bool


class Ready(_Told):
    ready: bool
    problems: list[str]


class Alive(_Told):
    status: Literal["ok"]


class Heading(_Told):
    """The table in force."""

    version: int
    source: str
    note: str
    age_s: float = Field(description="Since its slot began.")


class Flow(_Told):
    gateway: str
    region: str
    mw: float


class PlannedGateway(_Told):
    name: str
    demand_mw: float
    unmet_mw: float


class PlannedRegion(_Told):
    name: str
    capacity_mw: float
    load_mw: float


class Plan(_Told):
    table: Heading
    gateways: list[PlannedGateway]
    regions: list[PlannedRegion]
    flows: list[Flow]


class RegionState(_Told):
    name: str
    lat: float
    lon: float
    healthy: bool
    why: str
    capacity_mw: float | None
    load_mw: float | None
    share: float | None = Field(description="Of the whole load.")
    price: float | None = Field(description="USD per MWh at the meter.")
    metered: dict[str, float | None]
    estimated: dict[str, float | None]
    drift: dict[str, float | None] = Field(description="Metered over estimated, last day.")


class GatewayState(_Told):
    name: str
    lat: float
    lon: float
    demand_mw: float | None


class SlotState(_Told):
    start_utc: datetime
    seconds: float
    number: int | None = None
    of: int | None = None


class FootprintState(_Told):
    unit: str
    weight: float
    worst_region: str | None = None
    worst: float | None = None
    baseline_worst: float | None = None
    average: float | None = None
    history: list[list[Any]] = []


class State(_Told):
    """All that the dashboard shows."""

    scenario: str
    now_utc: datetime
    speed: float | None = Field(description="Of the clock, 1 being ours; null: as fast as it goes.")
    policy: str | None
    slot: SlotState | None
    table: Heading | None
    regions: list[RegionState]
    gateways: list[GatewayState]
    flows: list[Flow]
    footprints: dict[str, FootprintState]
    certificate: dict[str, Any] | None
    coordinator: dict[str, Any] | None = Field(
        description="Whether the process that plans is `up`, its `restarts`, and `why` it is not up."
    )
    signals: list[dict[str, Any]]
    solves: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    decisions: list[dict[str, Any]]


class Explanation(_Told):
    region: str | None = None
    gateway: str | None = None
    table: Heading | None
    about: RegionState | GatewayState
    flows: list[Flow]
    reasons: list[str]


class EventState(_Told):
    at: datetime
    level: str
    what: str
    text: str
    value: float | None = None
    threshold: float | None = None
    until: datetime | None = None
