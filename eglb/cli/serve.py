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
    help="What is foretold of the slots to come; as for eglb simulate.",
)
@click.option(
    "--demand-forecast",
    metavar="NAME",
    default="corrected",
    show_default=True,
    help="What is foretold of demand in the slot that begins.",
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
    help="Where demand and meters come from: a rehearsal plays those that were recorded, else they are "
    "posted to /v1/meter; default recorded, posted with --signals.",
)
@click.option(
    "--speed",
    type=_speed,
    metavar="X",
    default=1.0,
    show_default=True,
    help="The clock runs so many times as fast as real time; inf: as fast as planning goes.",
)
@click.option("--start", metavar="TIME|SLOT", help="Of the clock, UTC; default the first slot, or now.")
@click.option("--until", metavar="TIME|SLOT", help="End before this slot of the recorded ones.")
@click.option("--slots", type=click.IntRange(min=1), help="End after so many slots.")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:8080",
    show_default=True,
    help="Where HTTP is answered; port 0 takes a free one.",
)
@click.option(
    "--read-only-listen", metavar="HOST:PORT", help="Answer here too, but only with routes and weights."
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
    help="Books, kept and gone on with: a SQLite file or postgresql://...; default a file that is forgotten.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="DAYS",
    help="What the store remembers of accounting periods that are over; default all.",
)
@click.option(
    "--alert",
    "alerts",
    metavar="NAME=VALUE",
    multiple=True,
    help="From where on inequity, cost, drift, solve or signal_age is an alert; docs/live.md. Repeatable.",
)
@click.option("--signals", type=_FILE, metavar="FILE", help="Where prices and footprints come from, TOML.")
@click.option("--data-plane", type=_FILE, metavar="FILE", help="Proxies that are given the weights, TOML.")
@click.option("--rehearse", type=_FILE, metavar="FILE", help="What goes wrong in a rehearsal, TOML.")
@click.option(
    "--solve-deadline",
    type=_part,
    metavar="PART",
    default=0.5,
    show_default=True,
    help="Of a slot, after which the last plan is served until the decision is there.",
)
@click.option(
    "--headroom",
    type=_room,
    metavar="PART",
    default=0.0,
    show_default=True,
    help="Plan for so much more than the demand foretold, where nobody posts demand while its slot runs.",
)
@click.option(
    "--meter-patience",
    type=click.IntRange(min=1),
    metavar="SLOTS",
    default=3,
    show_default=True,
    help="After so many slots an estimate stands for a meter that has not spoken.",
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
    """Serve SCENARIO: every slot is planned by the clock, weights are published, requests are routed.

    Two processes: one answers, and starts again the other, which plans, should it die. Jobs, of the scenario
    or posted, are planned beside requests. Without --signals it is a rehearsal on what the scenario recorded.
    Ctrl-C ends it; with --store it goes on where it was.
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
