"""``eglb serve``: plans by the clock, and where to send requests, over HTTP."""

from __future__ import annotations

import math
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eglb.cli import options, streams

if TYPE_CHECKING:
    from eglb.live.controller import Controller
    from eglb.live.desk import Desk
    from eglb.live.known import Served
    from eglb.sims.scenario import Scenario

_TOKEN = "EGLB_TOKEN"
_LOOK_S = 0.5


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
    "--meter-patience",
    type=click.IntRange(min=1),
    metavar="SLOTS",
    default=3,
    show_default=True,
    help="After so many slots an estimate stands for a meter that has not spoken.",
)
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
    signals: Path | None,
    data_plane: Path | None,
    rehearse: Path | None,
    solve_deadline: float,
    meter_patience: int,
    weights: options.Weights,
    deadline: float,
    address: str,
    regions_per_actor: int | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Serve SCENARIO: every slot is planned by the clock, weights are published, requests are routed.

    Without --signals it is a rehearsal on what the scenario recorded. Ctrl-C ends it; with --store it goes on
    where it was.
    """
    try:
        from eglb.live.service import Wanted, open_service
        from eglb.live.store import Store, StoreError
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error}: install it with pip install 'eglb[serve]'") from None
    from eglb.sims.problems import InputError

    token = _token(token_env)
    recorded = meters == "recorded" or (meters is None and signals is None)
    if rehearse is not None and not recorded:
        raise InputError("--rehearse: needs --meters recorded")
    with streams.stdout_kept_clean(), streams.staging(out) as folder, ExitStack() as opened:
        fleet = options.load_weighted(scenario, data, seed, weights)
        first, count = _span(fleet, recorded, start, until, slots)
        before = options.history_of(fleet, scenario, history, data, seed) if recorded else None
        if store is None:
            store = str(Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="eglb-"))) / "books.db")
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
            solve_deadline=solve_deadline,
            patience=meter_patience,
        )

        @contextmanager
        def front(desk: Desk) -> Iterator[None]:
            with _listening(desk, listen, read_only_listen, token, weights_origin) as url:
                if not quiet:
                    streams.print_note(f"{fleet.name}: {url}")
                with _proxies(desk, fleet, data_plane, quiet):
                    yield

        shown = opened.enter_context(_shown(fleet, policy, count, quiet))
        try:
            books = Store(store)
            opened.callback(books.close)
            with open_service(fleet, wanted, books, before, front, shown) as service:
                stopped = _run(service.controller)
                found = service.summary() | ({"status": "stopped"} if stopped else {})
                if folder is not None:
                    from eglb.sims.results_folder import write_service

                    write_service(fleet, found, [asdict(each) for each in service.controller.served], folder)
                    books.export(folder / "books")
        except StoreError as error:
            raise InputError(str(error)) from None
    if as_json:
        streams.print_json(found)
    elif not quiet:
        for line in _told(found):
            click.echo(line)
    if out is not None and not quiet:
        streams.print_note(f"results in {out}")
    return 0


def _run(controller: Controller) -> bool:
    """Run it to its end, in a thread of its own; whether Ctrl-C ended it."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            controller.run()
        except BaseException as error:  # it is raised again below, where somebody hears it
            failed.append(error)

    thread = threading.Thread(target=work, name="controller")
    thread.start()
    stopped = False
    try:
        while thread.is_alive():
            thread.join(_LOOK_S)
    except KeyboardInterrupt:
        stopped = True
    finally:
        controller.stop()
        thread.join()
    if failed:
        raise failed[0]
    return stopped


def _token(name: str | None) -> str | None:
    from eglb.sims.problems import InputError

    found = os.environ.get(name or _TOKEN) or None
    if name is not None and found is None:
        raise InputError(f"--token-env {name}: there is no such environment variable, or it is empty")
    return found


def _span(
    fleet: Scenario, recorded: bool, start: str | None, until: str | None, slots: int | None
) -> tuple[Any, int | None]:
    """Where the clock starts, None for where it does by itself; how many slots are served."""
    import numpy as np

    from eglb.sims.problems import InputError
    from eglb.sims.scenario_lookup import find_slot

    if until is not None and slots is not None:
        raise InputError("--until and --slots: only one of them can be the end")
    if not recorded:
        if until is not None:
            raise InputError("--until: is for rehearsals; --slots ends a service")
        try:
            return (None if start is None else np.datetime64(start.removesuffix("Z"), "ms")), slots
        except ValueError:
            raise InputError(f"--start {start}: is no UTC time such as 2026-01-31T12:00") from None
    first = 0 if start is None else find_slot(fleet, start)
    if until is not None:
        slots = find_slot(fleet, until) - first
        if slots < 1:
            raise InputError(f"--until {until}: is not after the start")
    return (None if start is None else fleet.times[first]), slots


@contextmanager
def _listening(
    desk: Desk, listen: str, read_only: str | None, token: str | None, origins: tuple[str, ...]
) -> Iterator[str]:
    """HTTP is answered; the URL."""
    from eglb.live.api import make_app
    from eglb.live.server import names_of, parse_listen, serving

    with ExitStack() as opened:
        if read_only is not None:
            host, port = parse_listen(read_only)
            app = make_app(desk, hosts=names_of(host), read_only=True, weights_origins=origins)
            opened.enter_context(serving(app, host, port))
        host, port = parse_listen(listen)
        app = make_app(desk, token=token, hosts=names_of(host), weights_origins=origins)
        yield opened.enter_context(serving(app, host, port))


@contextmanager
def _proxies(desk: Desk, fleet: Scenario, path: Path | None, quiet: bool) -> Iterator[None]:
    """Proxies are kept at the weights that requests are routed by."""
    if path is None:
        yield
        return
    from eglb.live.data_plane.keeping import Keeping, read_data_planes, routed
    from eglb.live.data_plane.plane import Applied, DataPlane
    from eglb.live.store import Event, StoreError
    from eglb.live.weights import WeightTable

    def report(plane: DataPlane, table: WeightTable, applied: Applied) -> None:
        if applied.problems and desk.store is not None:
            text = "; ".join(applied.problems)
            try:
                desk.store.save_event(Event(desk.clock.now(), "warning", f"data plane {plane.name}", text))
            except StoreError as error:
                text = f"{text}; {error}"
            if not quiet:
                streams.print_note(text)

    with Keeping(read_data_planes(path, fleet.gateways, fleet.regions), report) as keeping:

        def tell() -> None:
            if (view := desk.router.view) is not None:
                keeping.publish(routed(view))

        with desk.router.watched(tell):
            tell()
            yield


@contextmanager
def _shown(
    fleet: Scenario, policy: str, slots: int | None, quiet: bool
) -> Iterator[Callable[[Served], None]]:
    """Takes what is to be said of every slot."""
    from eglb.cli.progress import SlotsShown
    from eglb.sims.simulation import SlotRecord

    count = slots or fleet.slots
    last = ["plan", ""]
    with SlotsShown(f"{fleet.name} {policy}", count, quiet=quiet) as shown:

        def show(served: Served) -> None:
            shown.slot(
                SlotRecord(
                    served.slot,
                    served.time_utc,
                    served.objective,
                    served.lower_bound,
                    served.gap,
                    served.seconds,
                    0.0,
                )
            )
            if [served.source, served.note] != last and not quiet:
                last[:] = [served.source, served.note]
                why = f": {served.note}" if served.note else ""
                streams.print_note(f"{served.time_utc}Z served from {served.source}{why}")

        yield show


def _told(found: dict[str, Any]) -> Iterator[str]:
    """What was found, in words."""
    from eglb.sims.tables import dollars, duration

    tables = ", ".join(f"{count} by {source}" for source, count in found["tables"].items())
    yield f"{found['scenario']}  {found['policy']}  {found['slots']} slots served, tables: {tables or 'none'}"
    if found["slots"]:
        wait = found["seconds_to_table"]
        yield f"a table {duration(wait['median'])} after its slot began, {duration(wait['max'])} at most"
    if found.get("objective") is not None:
        yield f"objective {dollars(found['objective'])}, energy {dollars(found['energy_cost_usd'])}"
    if found.get("running_gap") is not None:
        yield f"{100 * found['running_gap']:.2f} % to the best plan up to now, certified"
