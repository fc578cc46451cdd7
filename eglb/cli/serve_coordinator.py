"""The process of ``eglb serve`` that plans, started by the one that answers."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eglb.cli import streams

if TYPE_CHECKING:
    from eglb.live.loop.controller import Controller
    from eglb.live.loop.records import Served
    from eglb.live.service import Wanted
    from eglb.scenarios.scenario import Scenario

_LOOK_S = 0.5


def coordinate(
    fleet: Scenario,
    wanted: Wanted,
    store: str,
    history: Scenario | None,
    link: int,
    out: Path | None,
    *,
    as_json: bool,
    quiet: bool,
) -> int:
    """Plan until the last slot, or until it is interrupted, and say how it went."""
    from eglb.foundation.errors import InputError
    from eglb.live.processes.ipc import connected
    from eglb.live.service import open_service
    from eglb.live.storage.results import write_service
    from eglb.live.storage.store import Store, StoreError

    os.set_inheritable(link, False)
    end = socket.socket(fileno=link)
    with streams.stdout_kept_clean(), streams.staging(out) as folder, ExitStack() as opened:
        shown = opened.enter_context(_shown(fleet, wanted.policy, wanted.slots, quiet))
        try:
            books = Store(store)
            opened.callback(books.close)
            with open_service(
                fleet, wanted, books, history, lambda service_state: connected(service_state, end), shown
            ) as service:
                stopped = _run(service.controller)
                found = service.summary() | ({"status": "stopped"} if stopped else {})
                if folder is not None:
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


def span(
    fleet: Scenario, recorded: bool, start: str | None, until: str | None, slots: int | None
) -> tuple[Any, int | None]:
    """Where the clock starts, None for where it does by itself; how many slots are served."""
    import numpy as np

    from eglb.foundation.errors import InputError
    from eglb.scenarios.lookup import find_slot

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


@contextmanager
def _shown(
    fleet: Scenario, policy: str, slots: int | None, quiet: bool
) -> Iterator[Callable[[Served], None]]:
    """Takes what is to be said of every slot."""
    from eglb.cli.progress import SlotsShown
    from eglb.sims.replay.simulation import SlotRecord

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
    from eglb.foundation.numbers import dollars, duration
    from eglb.live.storage.job_store import STATES

    tables = ", ".join(f"{count} by {source}" for source, count in found["tables"].items())
    yield f"{found['scenario']}  {found['policy']}  {found['slots']} slots served, tables: {tables or 'none'}"
    if found["slots"]:
        wait = found["seconds_to_table"]
        yield f"a table {duration(wait['median'])} after its slot began, {duration(wait['max'])} at most"
    if found.get("objective") is not None:
        yield f"objective {dollars(found['objective'])}, energy {dollars(found['energy_cost_usd'])}"
    if (jobs := found.get("jobs")) is not None:
        counts = (f"{jobs[state]} {state}" for state in STATES if jobs[state])
        yield f"jobs: {', '.join(counts)}; {jobs['energy_mwh']:,.6g} MWh of work"
    if found.get("running_gap") is not None:
        yield f"{100 * found['running_gap']:.2f} % to the best plan up to now, certified"
