"""``eglb serve``: plans by the clock, and where to send requests, over HTTP."""

from __future__ import annotations

import math
import os
from pathlib import Path

import click

from eglb.cli import options

_TOKEN = "EGLB_TOKEN"


def _speed(value: str | float) -> float:
    """A number above zero, or infinite."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not number > 0.0:
        raise click.BadParameter(f"{value!r} is not a number above 0.")
    return number


def _part(value: str | float) -> float:
    """A number above 0, at most 1."""
    number = options.positive(value)
    if number > 1.0:
        raise click.BadParameter(f"{value!r} is more than 1.")
    return number


def _room(value: str | float) -> float:
    """A number from 0 to 1."""
    return 0.0 if str(value) in ("0", "0.0") else _part(value)


_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command("serve", short_help="Live: plans by the clock, requests routed.")
@options.scenario_options
@click.option("--policy", metavar="NAME", default="soft", show_default=True, help="As for eglb simulate.")
@click.option(
    "--forecast",
    metavar="NAME",
    default="none",
    show_default=True,
    help="Forecast of later slots; as for eglb simulate.",
)
@click.option(
    "--demand-forecast",
    metavar="NAME",
    default="corrected",
    show_default=True,
    help="Forecast of the demand in the slot that begins.",
)
@options.history_option
@click.option(
    "--period",
    metavar="whole|month|SLOTS",
    default="whole",
    show_default=True,
    help="Accounting period: footprints start from zero in each.",
)
@click.option(
    "--meters",
    type=click.Choice(["recorded", "posted"]),
    help="Where demand and meter readings come from: recorded in the scenario (a rehearsal), or posted to "
    "/v1/meter. Default: recorded; with --signals, posted.",
)
@click.option(
    "--speed",
    type=_speed,
    metavar="X",
    default=1.0,
    show_default=True,
    help="How many times as fast as real time the clock runs; inf: as fast as planning allows.",
)
@click.option("--start", metavar="TIME|SLOT", help="Start of the clock, UTC; default the first slot, or now.")
@click.option("--until", metavar="TIME|SLOT", help="End before this recorded slot.")
@click.option("--slots", type=click.IntRange(min=1), help="End after this many slots.")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:8080",
    show_default=True,
    help="Address of the HTTP service; port 0 takes a free port.",
)
@click.option(
    "--read-only-listen", metavar="HOST:PORT", help="Second address that answers routes and weights only."
)
@click.option(
    "--weights-origin",
    metavar="ORIGIN",
    multiple=True,
    help="A web page that may read the weights, such as https://ops.example, or *. Repeatable.",
)
@click.option(
    "--token-env",
    metavar="NAME",
    help=f"Environment variable with the bearer token of writers; default {_TOKEN}. Without one, nobody "
    "writes.",
)
@click.option(
    "--store",
    metavar="FILE|URL",
    help="Where books are kept and continued: a SQLite file or postgresql://...; default a temporary file.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="DAYS",
    help="How many days of finished accounting periods the store keeps. Default: all.",
)
@click.option(
    "--alert",
    "alerts",
    metavar="NAME=VALUE",
    multiple=True,
    help="Threshold of an alert: inequity, cost, drift, solve or signal_age; see docs/live.md. Repeatable.",
)
@click.option(
    "--signals", type=_FILE, metavar="FILE", help="TOML file of the sources of prices and footprints."
)
@click.option(
    "--data-plane", type=_FILE, metavar="FILE", help="TOML file of the proxies that get the weights."
)
@click.option("--rehearse", type=_FILE, metavar="FILE", help="TOML file of what goes wrong in a rehearsal.")
@click.option(
    "--solve-deadline",
    type=_part,
    metavar="PART",
    default=0.5,
    show_default=True,
    help="Share of a slot that a decision may take; then the last plan is served until it is there.",
)
@click.option(
    "--headroom",
    type=_room,
    metavar="PART",
    default=0.0,
    show_default=True,
    help="Plan for this share more than the forecast demand where nobody posts demand during its slot.",
)
@click.option(
    "--meter-patience",
    type=click.IntRange(min=1),
    metavar="SLOTS",
    default=3,
    show_default=True,
    help="After this many slots without a meter reading the estimate counts.",
)
@click.option("--link", type=int, hidden=True, help="Of the front that starts this coordinator.")
@options.weight_option
@options.deadline_option
@options.place_options("local")
@options.out_option
@options.output_options
def serve_command(
    scenario: str,
    data: Path | None,
    seed: int | None,
    policy: str,
    forecast: str,
    demand_forecast: str,
    history: str | None,
    period: str,
    meters: str | None,
    speed: float,
    start: str | None,
    until: str | None,
    slots: int | None,
    listen: str,
    read_only_listen: str | None,
    weights_origin: tuple[str, ...],
    token_env: str | None,
    store: str | None,
    keep: int | None,
    alerts: tuple[str, ...],
    signals: Path | None,
    data_plane: Path | None,
    rehearse: Path | None,
    solve_deadline: float,
    headroom: float,
    meter_patience: int,
    link: int | None,
    weights: options.Weights,
    deadline: float,
    address: str,
    regions_per_actor: int | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Serve SCENARIO: plan every slot by the clock, publish weights, route requests.

    The service is two processes. The front answers requests. The coordinator plans; if it dies, the front
    starts it again. Jobs, of the scenario or posted, are planned beside requests. Without --signals the
    service is a rehearsal on the scenario's recorded data. Ctrl-C ends it; with --store it goes on where it
    was.
    """
    try:
        import eglb.live.processes.supervisor  # noqa: F401
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error}: install it with pip install 'eglb[serve]'") from None
    from eglb.foundation.errors import InputError

    fleet = options.load_weighted(scenario, data, seed, weights)
    if link is None:
        from eglb.cli.serve_front import Addresses, answer

        where = Addresses(listen, read_only_listen, weights_origin, _token(token_env))
        return answer(fleet, speed, store, where, data_plane, quiet)
    from eglb.cli.serve_coordinator import coordinate, span
    from eglb.live.accounting.alerts import Thresholds
    from eglb.live.service import Wanted

    recorded = meters == "recorded" or (meters is None and signals is None)
    if rehearse is not None and not recorded:
        raise InputError("--rehearse: needs --meters recorded")
    first, count = span(fleet, recorded, start, until, slots)
    before = options.history_of(fleet, scenario, history, data, seed) if recorded else None
    wanted = Wanted(
        policy=policy,
        forecast=forecast,
        demand_forecast=demand_forecast,
        period=period,
        address=address,
        regions_per_actor=regions_per_actor,
        deadline=deadline,
        recorded=recorded,
        start=first,
        slots=count,
        speed=speed,
        signals=signals,
        events=rehearse,
        headroom=headroom,
        keep_days=keep,
        thresholds=Thresholds.parse(alerts),
        solve_deadline=solve_deadline,
        patience=meter_patience,
    )
    assert store is not None
    return coordinate(fleet, wanted, store, before, link, out, as_json=as_json, quiet=quiet)


def _token(name: str | None) -> str | None:
    from eglb.foundation.errors import InputError

    found = os.environ.get(name or _TOKEN) or None
    if name is not None and found is None:
        raise InputError(f"--token-env {name}: there is no such environment variable, or it is empty")
    return found
