"""Progress of a solve on stderr: live in a terminal, now and then a line elsewhere, nothing when quiet."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from eglb.foundation.numbers import bar, byte_count, dollars, duration, small
from eglb.planning.progress import RoundRecord
from eglb.sims.replay.simulation import SlotRecord

# Between two lines where the output is not a terminal.
LINE_SECONDS = 5.0


class RoundsShown:
    """Shows the rounds of one solve after another.

    `begin` opens a solve, `round` takes each `RoundRecord` of it. Entering and leaving starts and stops the
    display; in a terminal it leaves no trace, so that the result is all that stays on the screen.
    """

    def __init__(self, gap: float, quiet: bool = False, console: Console | None = None) -> None:
        self._target = gap
        self._quiet = quiet
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._live: Live | None = None
        self._spinner = Spinner("dots")
        self._name = ""
        self._doing = ""
        self._began = time.monotonic()
        self._record: RoundRecord | None = None
        self._first_gap = math.inf
        self._rounds = 0
        self._said_at = -math.inf
        self._said_power = math.inf

    def __enter__(self) -> RoundsShown:
        if not self._quiet and self._console.is_terminal:
            # stdout belongs to the result alone, so only stray stderr output is lifted above the display.
            self._live = Live(
                self,
                console=self._console,
                refresh_per_second=10,
                transient=True,
                redirect_stdout=False,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif self._record is not None and not self._quiet and kind is None:
            self._say(self._record)

    def begin(self, name: str, doing: str = "") -> None:
        """A new solve starts; `doing` is what is shown until its first round."""
        if self._record is not None and self._live is None and not self._quiet:
            self._say(self._record)
        self._name, self._doing, self._began = name, doing, time.monotonic()
        self._record, self._rounds, self._first_gap = None, 0, math.inf
        self._said_at, self._said_power = time.monotonic(), math.inf
        if self._live is None and not self._quiet:
            self._console.print(f"{name}: {doing}" if doing else name)

    def round(self, record: RoundRecord) -> None:
        """One exchange with the agents is over."""
        self._rounds += 1
        if self._rounds == 1:
            # Silence is counted from the first message on: what goes before it was said by `begin`.
            self._said_at = time.monotonic()
        self._record = record
        if not math.isfinite(self._first_gap):
            self._first_gap = record.gap
        if not math.isfinite(record.gap):
            self._said_power = math.inf  # another problem now, whose gap falls anew
        if self._live is None and not self._quiet:
            power = math.ceil(math.log10(record.gap)) if 0 < record.gap < math.inf else math.inf
            if power < self._said_power or time.monotonic() - self._said_at >= LINE_SECONDS:
                self._said_power = min(power, self._said_power)
                self._say(record)

    def note(self, text: str) -> None:
        """A line that stays: something happened to the agents."""
        self._console.print(f"{self._name}: {text}", soft_wrap=True, markup=False)

    def _say(self, record: RoundRecord) -> None:
        self._said_at = time.monotonic()
        if self._record is record:
            self._record = None
        self._console.print(
            f"{self._name}: round {record.round}  gap {small(record.gap)}  "
            f"objective {dollars(record.objective)}  bound {dollars(record.lower_bound)}  "
            f"{duration(record.seconds)}",
            soft_wrap=True,
        )

    def _done_share(self) -> float:
        """How far the gap has come from its first value to the one asked for, on a log scale, 0 to 1."""
        gap = self._record.gap if self._record else math.inf
        if not math.isfinite(gap) or not math.isfinite(self._first_gap):
            return 0.0
        if gap <= self._target:
            return 1.0
        return math.log(self._first_gap / gap) / math.log(self._first_gap / self._target)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        record = self._record
        heading = Table.grid(padding=(0, 2, 0, 0))
        self._spinner.update(text=Text(self._name, style="bold"))
        elapsed = duration(time.monotonic() - self._began)
        if record is None:
            heading.add_row(self._spinner, Text(self._doing, style="dim"), elapsed)
            yield heading
            return
        width = max(10, min(40, options.max_width - 58))
        filled = bar(self._done_share(), width, options.ascii_only)
        track = Text.assemble((filled, "green"), ("." * (width - len(filled)), "dim"))
        heading.add_row(
            self._spinner,
            f"round {record.round}",
            f"gap {small(record.gap)}",
            track,
            Text(f"{self._target:.0e}", style="dim"),
            elapsed,
        )
        yield heading
        yield Text(
            f"  objective {dollars(record.objective)}   bound {dollars(record.lower_bound)}   "
            f"{byte_count(record.bytes_up)} up",
            style="dim",
            overflow="ellipsis",
            no_wrap=True,
        )


class SlotsShown:
    """Shows a simulation slot by slot: live in a terminal, now and then a line elsewhere."""

    def __init__(self, name: str, slots: int, quiet: bool = False, console: Console | None = None) -> None:
        self._name = name
        self._slots = slots
        self._quiet = quiet
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._live: Live | None = None
        self._spinner = Spinner("dots")
        self._record: SlotRecord | None = None
        self._said_at = time.monotonic()

    def __enter__(self) -> SlotsShown:
        if not self._quiet and self._console.is_terminal:
            self._live = Live(
                self, console=self._console, refresh_per_second=10, transient=True, redirect_stdout=False
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def slot(self, record: SlotRecord) -> None:
        """One more slot is served."""
        self._record = record
        late = time.monotonic() - self._said_at >= LINE_SECONDS
        if self._live is None and not self._quiet and (late or record.slot + 1 == self._slots):
            self._said_at = time.monotonic()
            self._console.print(f"{self._name}: {' '.join(self._parts(record))}", soft_wrap=True)

    def _parts(self, record: SlotRecord) -> list[str]:
        parts = [f"slot {record.slot + 1} of {self._slots} ", f"{1e3 * record.seconds:.0f} ms "]
        if record.objective is not None and record.gap is not None:
            parts += [
                f"spent {dollars(record.objective)} ",
                f"gap {100 * record.gap:.2f} % to the best up to now",
            ]
        return parts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self._spinner.update(text=Text(self._name, style="bold"))
        heading = Table.grid(padding=(0, 2, 0, 0))
        if self._record is None:
            heading.add_row(self._spinner, Text("starting agents", style="dim"))
            yield heading
            return
        width = max(10, min(40, options.max_width - 58))
        filled = bar((self._record.slot + 1) / self._slots, width, options.ascii_only)
        track = Text.assemble((filled, "green"), ("." * (width - len(filled)), "dim"))
        slot, *rest = self._parts(self._record)
        heading.add_row(self._spinner, slot, track)
        yield heading
        yield Text(f"  {' '.join(rest)}", style="dim", overflow="ellipsis", no_wrap=True)


class RunsShown:
    """Shows a study run by run: which it is at, and how many there are."""

    def __init__(self, runs: int, quiet: bool = False, console: Console | None = None) -> None:
        self._runs = runs
        self._quiet = quiet
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._live: Live | None = None
        self._spinner = Spinner("dots")
        self._begun = 0
        self._said_at = -math.inf

    def __enter__(self) -> RunsShown:
        if not self._quiet and self._console.is_terminal:
            self._live = Live(
                self._spinner,
                console=self._console,
                refresh_per_second=10,
                transient=True,
                redirect_stdout=False,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def begin(self, name: str) -> None:
        """The next run starts."""
        self._begun += 1
        text = f"{min(self._begun, self._runs)} of {self._runs}  {name}"
        self._spinner.update(text=Text(text, overflow="ellipsis", no_wrap=True))
        if self._live is None and not self._quiet and time.monotonic() - self._said_at >= LINE_SECONDS:
            self._said_at = time.monotonic()
            self._console.print(text, soft_wrap=True)
