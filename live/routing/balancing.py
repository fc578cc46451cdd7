"""Load balancing of requests: quota turns (largest debt first), and weighted rendezvous hashing for sessions.

Compiled, because a router does it for every request.
"""

from __future__ import annotations

import hashlib
import math

import numba
import numpy as np
from numba import float64, int64, uint64

from eglb.foundation.arrays import Array
from eglb.foundation.compilation import compiled

_given = numba.types.Array(float64, 1, "C", readonly=True)
_turns = numba.types.Array(int64, 1, "C")
_rest = numba.types.Array(float64, 1, "C")
_seeds = numba.types.Array(uint64, 1, "C", readonly=True)
_ROUNDING = 1e-9


def seed_of(name: str) -> int:
    """A number of 64 bits that is the same in every process, whatever the name holds."""
    return int.from_bytes(
        hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
    )


@compiled(numba.types.void(_given, _rest, _turns))
def quota_turns(share: Array, owed: Array, turn: Array) -> None:
    """Whose turn it is, so that after every n requests each region had n times its share of them, less than
    one request more or less.

    Of the regions that are owed enough, the one whose next turn is due first; no way is better (Tijdeman,
    "The chairman assignment problem", Discrete Mathematics 32, 1980).

    Parameters
    ----------
    share : (N,), adds up to 1. owed : (N,), requests a region ought to have had less those it had, adds up to
        0; goes on in place. turn : (n,), the next n turns, written.
    """
    contenders = 0
    for i in range(len(share)):
        contenders += share[i] > 0.0
    least = 1.0 / (2 * contenders - 2) if contenders > 1 else 0.0
    for n in range(len(turn)):
        chosen, soonest = -1, np.inf
        for i in range(len(share)):
            if share[i] > 0.0:
                owed[i] += share[i]
                due = (1.0 - least - owed[i]) / share[i]
                if owed[i] >= least - _ROUNDING and due < soonest:
                    chosen, soonest = i, due
        owed[chosen] -= 1.0
        turn[n] = chosen


@compiled(int64(uint64, _seeds, _given))
def rendezvous(session: int, seeds: Array, share: Array) -> int:
    """The region of a session: each wins as many sessions as its share; where shares change, or a region goes
    or comes, no more sessions move than have to, nearly.

    Weighted rendezvous hashing: least -ln(u) / share, u a hash of session and region, uniform in (0, 1).

    Parameters
    ----------
    session : its `seed_of`. seeds : (N,), the regions'. share : (N,), not all 0.
    """
    chosen, least = -1, np.inf
    for i in range(len(share)):
        if share[i] > 0.0:
            # The finaliser of splitmix64: every bit of the sum reaches every bit of the hash.
            z = session + seeds[i]
            z = (z ^ (z >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> uint64(27))) * uint64(0x94D049BB133111EB)
            z = z ^ (z >> uint64(31))
            score = -math.log((float(z >> uint64(11)) + 0.5) * 2.0**-53) / share[i]
            if score < least:
                chosen, least = i, score
    return chosen
