"""What is known of grid, market and weather right now, whoever tells it, and how old that is.

`open_signals` reads who is to be asked, `Signals.read_all` asks them all before a deadline and gives a
`Reading` of each, or says what stands in for it. A source is a class of settings with one question; adding
one is adding a file and naming it in `settings`. Keys come from environment variables and go nowhere else.
"""

from eglb.live.signals.reading import FALLBACKS, Fallback, Reading
from eglb.live.signals.settings import open_signals
from eglb.live.signals.signals import Signals

__all__ = ["FALLBACKS", "Fallback", "Reading", "Signals", "open_signals"]
