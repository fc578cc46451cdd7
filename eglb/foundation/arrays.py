"""NumPy arrays as the house writes them: one name for the type, and the letters of its shapes.

A docstring that says (T, E) means one row a slot and one column a pair of a gateway and a region that it
reaches. T counts slots, N regions, J gateways, E such pairs, K footprint kinds, M jobs; C the columns of a
market with jobs, gateways first.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray
