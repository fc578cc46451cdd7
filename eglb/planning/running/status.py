"""Where a solve with ``--checkpoint`` stands, seen from another process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from eglb.coordinator.fleet.membership import MembershipEvent
from eglb.foundation.numbers import byte_count, dollars, duration, plain, small
from eglb.planning.lost_regions import last_of_each, missing
from eglb.planning.running.checkpoint import Glimpse, glimpse
from eglb.planning.running.membership_orders import Order, waiting_orders

_EVENTS_SHOWN = 10


@dataclass(frozen=True, eq=False)
class RunStatus:
    """What a checkpoint folder tells of its run, as of the last state that was kept, and orders that wait."""

    seen: Glimpse
    waiting: list[Order]

    @property
    def events(self) -> list[MembershipEvent]:
        """What happened to members."""
        return [] if self.seen.kept is None else [MembershipEvent(*event) for event in self.seen.kept.events]

    @property
    def out(self) -> dict[str, str]:
        """Regions without part in the solve, with the reason."""
        kept = self.seen.kept
        if kept is None:
            return dict.fromkeys(self.seen.options.without, "drained")
        since = last_of_each(self.events)
        drained = set(kept.drained)
        names = zip(self.seen.scenario.regions, kept.closed.tolist(), strict=True)
        found = {}
        for name in [name for name, closed in names if closed or name in drained]:
            event = since.get(name)
            why = f"{event.what}: {event.reason}" if event is not None and event.reason else "drained"
            found[name] = "drained" if name in drained else why
        return found

    def to_dict(self) -> dict[str, Any]:
        """The object that ``eglb cluster status --json`` prints."""
        seen, kept = self.seen, self.seen.kept
        best = None if kept is None else kept.incumbent
        return plain(
            {
                "scenario": seen.scenario.name,
                "algorithm": seen.options.algorithm,
                "address": seen.options.address,
                "running": seen.held,
                "round": 0 if kept is None else kept.round,
                "seconds": 0.0 if kept is None else kept.seconds,
                "objective": None if best is None else best.objective,
                "lower_bound": None if best is None else best.bound,
                "gap": None if best is None else best.gap,
                "meets_all_demand": None if kept is None else kept.meets_all,
                "bytes_up": 0 if kept is None else kept.traffic.bytes_up,
                "bytes_down": 0 if kept is None else kept.traffic.bytes_down,
                "members": {"out": self.out, "events": [asdict(event) for event in self.events]},
                "waiting": [asdict(order) for order in self.waiting],
            }
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._lines()

    def _lines(self) -> Iterator[RenderableType]:
        seen, kept = self.seen, self.seen.kept
        running = ("running", "bold green") if seen.held else ("not running", "bold yellow")
        size = f"{len(seen.scenario.regions)} regions, {seen.scenario.slots} slots"
        yield Text.assemble((seen.scenario.name, "bold"), f"  {size}  {seen.options.algorithm}  ", running)
        if kept is None:
            yield Text("Nothing was kept yet.")
        else:
            best = kept.incumbent
            yield Text(
                f"After round {kept.round:,}, {duration(kept.seconds)}: gap {small(best.gap)}, objective "
                f"{dollars(best.objective)}, bound {dollars(best.bound)}, "
                f"{byte_count(kept.traffic.bytes_up)} up"
            )
            if not kept.meets_all:
                yield Text("Some demand cannot be met by the regions that are left.", style="yellow")
        if self.out:
            yield Text(f"Without {missing(self.out, self.events)}", style="yellow")
        for event in self.events[-_EVENTS_SHOWN:]:
            yield Text(f"  {event}", style="dim")
        for order in self.waiting:
            yield Text(f"Waiting: {order}")
        if not seen.held:
            yield Text(f"`eglb solve --resume {seen.folder}` goes on with it", style="dim")


def status_of(checkpoint: Path) -> RunStatus:
    """Where the run of a checkpoint folder stands.

    Raises
    ------
    InputError : the folder holds no checkpoint.
    """
    return RunStatus(glimpse(checkpoint), waiting_orders(checkpoint))
