"""Request and response models (pydantic) of the HTTP API, as its OpenAPI document shows them."""

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
MOST_JOBS = 1_000
LONGEST_POLL_S = 60.0


def _text(value: Any) -> Any:
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("is not a date and time such as 2023-07-01T00:00:00Z")
    return value


Name = Annotated[str, Field(min_length=1, max_length=200)]
Session = Annotated[str, Field(min_length=1, max_length=256)]
Amount = Annotated[float, Field(ge=0.0, le=1e12, allow_inf_nan=False, strict=True)]
Positive = Annotated[float, Field(ge=1e-6, le=1e12, allow_inf_nan=False, strict=True)]
JobName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\u0000-\u001F\u007F]+$")]
"""Without control characters: databases keep no NUL."""
Moment = Annotated[
    AwareDatetime, BeforeValidator(_text), WithJsonSchema({"type": "string", "format": "date-time"})
]
Slot = Annotated[
    Moment, WithJsonSchema({"type": "string", "format": "date-time", "description": "Start of a slot."})
]
JobState = Literal["submitted", "admitted", "refused", "done", "missed", "withdrawn"]


class _RequestModel(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _ResponseModel(BaseModel):
    """Answers may grow: whoever reads them ignores what it does not know."""


class RouteQuery(_RequestModel):
    gateway: Name
    session: Session | None = None


class WeightsQuery(_RequestModel):
    gateway: Name | None = None
    wait: Annotated[float, Field(ge=0.0, le=LONGEST_POLL_S, allow_inf_nan=False)] = Field(
        0.0, description="Longest wait, in seconds, for weights other than those of If-None-Match."
    )


class ExplainQuery(_RequestModel):
    region: Name | None = None
    gateway: Name | None = None
    job: JobName | None = None


class JobsQuery(_RequestModel):
    state: JobState | Literal["open", "all"] = Field(
        "open", description="`open` means submitted or admitted."
    )
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 100
    wait: Annotated[float, Field(ge=0.0, le=LONGEST_POLL_S, allow_inf_nan=False)] = Field(
        0.0, description="Longest wait, in seconds, for an answer other than that of If-None-Match."
    )


class JobQuery(_RequestModel):
    job: JobName


class EventsQuery(_RequestModel):
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class RegionMeter(_RequestModel):
    """What a region used and emitted in a slot."""

    slot: Slot
    region: Name
    energy_mwh: Amount | None = Field(None, description="Facility energy, at the meter.")
    load_mw: Amount | None = Field(None, description="IT power, mean over the slot.")
    cost_usd: Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False, strict=True)] | None = None
    latency_ms: Amount | None = None
    footprints: dict[str, Amount] = Field(
        {}, max_length=100, description="By kind, in the scenario's units, without region weights."
    )


class GatewayMeter(_RequestModel):
    """Demand of a gateway in a slot."""

    slot: Slot
    gateway: Name
    demand_mw: Amount = Field(description="IT power, mean over the slot.")


class JobMeter(_RequestModel):
    """Work of a job that was really done in a slot."""

    slot: Slot
    job: JobName
    energy_mwh: Amount = Field(description="IT energy of the work done, without the energy for moving it.")


class AskedJob(_RequestModel):
    """Work that can wait."""

    job: JobName = Field(description="Name of the job. A name stands for one job for good.")
    energy_mwh: Positive = Field(description="IT energy.")
    deadline_utc: Moment = Field(
        description="The job may use slots that lie wholly before it. At most 366 days from now."
    )
    max_mw: Positive = Field(description="Most IT power of the whole job.")
    release_utc: Moment | None = Field(None, description="Earliest start. Default: now.")
    min_mw: Amount = Field(0.0, description="Least IT power, in every slot until the deadline.")
    regions: Annotated[list[Name], Field(min_length=1, max_length=1000)] | None = Field(
        None, description="Regions where it may run. Default: all."
    )
    home_region: Name | None = Field(None, description="Where its data are.")
    checkpoint_cost_mwh: Amount = Field(0.0, description="IT energy to move the whole job from home.")


def _whose(row: Any) -> str:
    return next((key for key in ("gateway", "job") if isinstance(row, Mapping) and key in row), "region")


def _many(body: Any) -> str:
    return "rows" if isinstance(body, list) else "row"


Meter = Annotated[
    Annotated[RegionMeter, Tag("region")]
    | Annotated[GatewayMeter, Tag("gateway")]
    | Annotated[JobMeter, Tag("job")],
    Discriminator(_whose),
]
_Rows = Annotated[list[Meter], Field(min_length=1, max_length=MOST_ROWS)]
Meters = Annotated[Annotated[Meter, Tag("row")] | Annotated[_Rows, Tag("rows")], Discriminator(_many)]
_JobRows = Annotated[list[AskedJob], Field(min_length=1, max_length=MOST_JOBS)]
AskedJobs = Annotated[
    Annotated[AskedJob, Tag("row")] | Annotated[_JobRows, Tag("rows")], Discriminator(_many)
]


class HealthReport(_RequestModel):
    region: Name
    healthy: Annotated[bool, Field(strict=True)]
    why: Annotated[str, Field(max_length=200)] = ""


class Problem(_ResponseModel):
    """Why something was refused."""

    detail: str
    problems: list[str] = []


class Route(_ResponseModel):
    gateway: str
    region: str
    version: int = Field(description="Version of the table of weights.")
    why: str = Field(description="plan, last plan, nearest or affinity; and any region down that matters.")


class Weights(_ResponseModel):
    """Regions that are down have no weight; a gateway without weights cannot be served at present."""

    version: int
    slot_utc: datetime
    seconds: float
    source: Literal["plan", "last plan", "nearest"]
    note: str
    down: list[str] = Field(description="Regions that are down; `/v1/explain` says why.")
    gateways: dict[str, dict[str, float]] = Field(description="Share of requests by region; adds up to 1.")


class Metered(_ResponseModel):
    values: int = Field(description="Number of values that were entered.")


class Reported(_ResponseModel):
    region: str
    healthy: bool = Field(description="Whether the service takes it to be up: no source reports it as down.")
    why: str
    changed: bool


class Submitted(_ResponseModel):
    """Which jobs are new, and which were known."""

    submitted: list[str] = Field(description="Jobs that are new.")
    known: list[str] = Field(description="Jobs that were submitted before, in any state.")


class Withdrawn(_ResponseModel):
    job: str
    state: Literal["withdrawn"]
    from_utc: datetime = Field(description="Start of the next slot. The job has no power from then on.")


class JobRow(_ResponseModel):
    """A job, and how it stands."""

    job: str
    state: JobState
    why: str = Field(description="Why it was refused or missed.")
    energy_mwh: float
    left_mwh: float = Field(description="Energy not done yet, including what the present slot will do.")
    slack_mwh: float | None = Field(
        description="Energy that it can still do by its deadline, less what is left; null if it has ended."
    )
    release_utc: datetime
    deadline_utc: datetime
    max_mw: float
    min_mw: float
    regions: list[str]
    home_region: str | None
    checkpoint_cost_mwh: float
    now_mw: dict[str, float] = Field(
        description="IT power by region in the table in force; 0 in a region that is down."
    )


class Jobs(_ResponseModel):
    """Jobs, the soonest deadline first; version and slot are of the table in force, null before the first."""

    version: int | None
    slot_utc: datetime | None
    seconds: float | None
    down: list[str] = Field(description="Regions that are down.")
    jobs: list[JobRow]
    more: bool = Field(description="Whether there are more jobs than `limit`.")


class JobsState(_ResponseModel):
    counts: dict[JobState, int]
    open: list[JobRow] = Field(description="The 50 with the soonest deadlines.")


class Ready(_ResponseModel):
    ready: bool
    problems: list[str]


class Alive(_ResponseModel):
    status: Literal["ok"]


class Heading(_ResponseModel):
    """The table in force."""

    version: int
    source: str
    note: str
    age_s: float = Field(description="Seconds since its slot began.")


class Flow(_ResponseModel):
    gateway: str
    region: str
    mw: float


class PlannedGateway(_ResponseModel):
    name: str
    demand_mw: float
    unmet_mw: float


class PlannedRegion(_ResponseModel):
    name: str
    capacity_mw: float
    load_mw: float = Field(description="Of requests.")
    work_mw: float = Field(description="Of jobs.")


class PlannedJob(_ResponseModel):
    job: str
    region: str
    mw: float


class Plan(_ResponseModel):
    table: Heading
    gateways: list[PlannedGateway]
    regions: list[PlannedRegion]
    flows: list[Flow]
    jobs: list[PlannedJob]


class RegionState(_ResponseModel):
    name: str
    lat: float
    lon: float
    healthy: bool
    why: str
    capacity_mw: float | None
    load_mw: float | None = Field(description="Of requests.")
    work_mw: float | None = Field(description="Of jobs.")
    share: float | None = Field(description="Share of the load of all requests.")
    price: float | None = Field(description="USD per MWh at the meter.")
    metered: dict[str, float | None]
    estimated: dict[str, float | None]
    drift: dict[str, float | None] = Field(description="Metered divided by estimated footprint, last day.")


class GatewayState(_ResponseModel):
    name: str
    lat: float
    lon: float
    demand_mw: float | None


class SlotState(_ResponseModel):
    start_utc: datetime
    seconds: float
    number: int | None = None
    of: int | None = None


class FootprintState(_ResponseModel):
    unit: str
    weight: float
    worst_region: str | None = None
    worst: float | None = None
    baseline_worst: float | None = None
    average: float | None = None
    history: list[list[Any]] = []


class State(_ResponseModel):
    """All that the dashboard shows."""

    scenario: str
    now_utc: datetime
    speed: float | None = Field(description="Of the clock; 1 is real time, null as fast as possible.")
    policy: str | None
    slot: SlotState | None
    table: Heading | None
    regions: list[RegionState]
    gateways: list[GatewayState]
    flows: list[Flow]
    jobs: JobsState | None = Field(description="Null if no books are kept, or they cannot be read.")
    footprints: dict[str, FootprintState]
    certificate: dict[str, Any] | None
    coordinator: dict[str, Any] | None = Field(
        description="Whether the process that plans is `up`, its `restarts`, and `why` it is not up."
    )
    signals: list[dict[str, Any]]
    solves: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    decisions: list[dict[str, Any]]


class Explanation(_ResponseModel):
    region: str | None = None
    gateway: str | None = None
    job: str | None = None
    table: Heading | None
    about: RegionState | GatewayState | JobRow
    flows: list[Flow]
    reasons: list[str]


class EventState(_ResponseModel):
    at: datetime
    level: str
    what: str
    text: str
    value: float | None = None
    threshold: float | None = None
    until: datetime | None = None
