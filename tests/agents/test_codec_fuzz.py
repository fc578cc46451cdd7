"""The codec under mutated messages: the documented error or messages, soon, in memory of the input's order.

    EGLB_FUZZ_INPUTS=100000 python -m pytest tests/agents/test_codec_fuzz.py -s     more than CI's

How inputs are made is in `codec_fuzz`.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from support.codec_fuzz import LARGEST, MUTATIONS, fuzz, fuzz_limited

INPUTS = range(int(os.environ.get("EGLB_FUZZ_INPUTS", "1000")))
FACTOR, ALLOWED = 6, 2_000_000
"""What `decode` promises of its memory: so many times the input, and so many bytes."""
LONGEST_S = 1.0
"""CPU time for one input of at most a megabyte; most take milliseconds."""


def test_mutated_messages_are_refused_or_read_soon_and_in_little_memory() -> None:
    found = fuzz(INPUTS, ALLOWED)
    print(f"\n{found}")
    assert found.beyond <= FACTOR
    assert found.slowest[0] <= LONGEST_S
    assert {f"{mutation.__name__} refused" for mutation in MUTATIONS} <= set(found.endings)
    assert {"flip_bits taken", "retell taken", "unsealed refused"} <= set(found.endings)
    assert "unsealed taken" not in found.endings


def test_codec_and_agent_do_with_an_address_space_that_has_room_for_no_more() -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as pool:
        room = FACTOR * LARGEST + ALLOWED + 3 * LARGEST  # and the input while it is made
        endings = pool.submit(fuzz_limited, INPUTS, room).result(120.0 + LONGEST_S * len(INPUTS))
    print(f"\n{endings}")
    assert endings["refused"] + endings["taken"] == len(INPUTS)
    assert endings["taken"] and endings["answered"] and endings["answered with a fault"]
