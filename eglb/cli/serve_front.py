"""The process of ``eglb serve`` that answers, and keeps proxies at the weights it routes by."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eglb.cli import streams

if TYPE_CHECKING:
    from eglb.live.state.service_state import ServiceState
    from eglb.scenarios.scenario import Scenario


@dataclass(frozen=True)
class Addresses:
    """Where HTTP is answered, and to whom: see the options."""

    listen: str
    read_only_listen: str | None
    weights_origins: tuple[str, ...]
    token: str | None


def answer(
    fleet: Scenario, speed: float, store: str | None, where: Addresses, data_plane: Path | None, quiet: bool
) -> int:
    """Answer until the coordinator, which is started by the same command, has ended; its exit code."""
    from eglb.foundation.errors import InputError
    from eglb.live.processes.supervisor import Supervisor
    from eglb.live.storage.store import Store, StoreError

    given: list[str] = click.get_current_context().obj
    own: list[str] = []
    with ExitStack() as opened:
        if store is None:
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="eglb-"))
            store = str(Path(folder) / "books.db")
            own = ["--store", store]
        try:
            books = Store(store)
            opened.callback(books.close)
            supervisor = Supervisor(fleet, books, speed)
        except StoreError as error:
            raise InputError(str(error)) from None
        url = opened.enter_context(_listening(supervisor.service_state, where))
        if not quiet:
            streams.print_note(f"{fleet.name}: {url}")
        opened.enter_context(_proxies(supervisor.service_state, fleet, data_plane, quiet))
        place = given.index("serve") + 1

        def command(link: int) -> Sequence[str]:
            ahead = [sys.executable, "-m", "eglb", *given[:place]]
            return [*ahead, "--link", str(link), *own, *given[place:]]

        return supervisor.run(command)


@contextmanager
def _listening(service_state: ServiceState, where: Addresses) -> Iterator[str]:
    """HTTP is answered; the URL."""
    from eglb.live.http.api import make_app
    from eglb.live.http.server import names_of, parse_listen, serving

    origins = where.weights_origins
    with ExitStack() as opened:
        if where.read_only_listen is not None:
            host, port = parse_listen(where.read_only_listen)
            app = make_app(service_state, hosts=names_of(host), read_only=True, weights_origins=origins)
            opened.enter_context(serving(app, host, port))
        host, port = parse_listen(where.listen)
        app = make_app(service_state, token=where.token, hosts=names_of(host), weights_origins=origins)
        yield opened.enter_context(serving(app, host, port))


@contextmanager
def _proxies(service_state: ServiceState, fleet: Scenario, path: Path | None, quiet: bool) -> Iterator[None]:
    """Proxies are kept at the weights that requests are routed by."""
    if path is None:
        yield
        return
    from eglb.live.data_plane.keeping import Keeping, read_data_planes, routed
    from eglb.live.data_plane.plane import Applied, DataPlane
    from eglb.live.routing.weights import WeightTable
    from eglb.live.storage.store import Event, StoreError

    def report(plane: DataPlane, table: WeightTable, applied: Applied) -> None:
        if applied.problems and service_state.store is not None:
            text = "; ".join(applied.problems)
            try:
                service_state.store.save_event(
                    Event(service_state.clock.now(), "warning", f"data plane {plane.name}", text)
                )
            except StoreError as error:
                text = f"{text}; {error}"
            if not quiet:
                streams.print_note(text)

    with Keeping(read_data_planes(path, fleet.gateways, fleet.regions), report) as keeping:

        def tell() -> None:
            if (view := service_state.router.view) is not None:
                keeping.publish(routed(view))

        with service_state.router.watched(tell):
            tell()
            yield
