"""NumPy arrays as the house writes them: one name for the type, and the letters of its shapes.

A docstring that says ``(T, E)`` means one row a slot and one column a pair. R counts regions, G gateways,
E the reachable pairs of a gateway and a region, T slots, K footprint kinds, J jobs.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray
