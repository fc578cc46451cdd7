"""Signal handling: SIGINT and SIGTERM held back while something half done could not be undone."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

_HELD = (signal.SIGINT, signal.SIGTERM)

Arrived = list[tuple[int, FrameType | None]]


@contextmanager
def interrupts_held() -> Iterator[Arrived]:
    """Signals that arrive in the block are listed in what it yields, and the first is delivered at its end.

    A block that waits for long looks at the list now and then and leaves once it is not empty. Where the
    block fails by itself its own exception is on its way already, and nothing is delivered. In other threads
    than the main one, which Python never interrupts, nothing is held.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    arrived: Arrived = []
    # A handler that was not set from Python reads as None and could not be set again: it is left alone.
    before = {number: handler for number in _HELD if (handler := signal.getsignal(number)) is not None}
    with ExitStack() as restored:
        for number, handler in before.items():
            restored.callback(signal.signal, number, handler)
            signal.signal(number, lambda signum, frame: arrived.append((signum, frame)))
        yield arrived
    if arrived:
        first, frame = arrived[0]
        handler = before[signal.Signals(first)]
        if callable(handler):
            handler(first, frame)
        elif handler == signal.SIG_DFL:
            signal.raise_signal(first)


def hear_signals() -> None:
    """Set the handlers again that Python knows: compiled code may have put others in their place."""
    if threading.current_thread() is threading.main_thread():
        for number in _HELD:
            if (handler := signal.getsignal(number)) is not None:
                signal.signal(number, handler)
