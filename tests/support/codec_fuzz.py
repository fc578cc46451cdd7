"""Mutations of genuine messages, and what decoding them takes; in a process of its own also under a limit."""

from __future__ import annotations

import resource
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import msgpack
import numpy as np
from support.genuine_messages import ask, draw_exchange

from eglb.agents.codec import Fault, decode, encode, sealed, unsealed
from eglb.agents.host import RegionHost
from eglb.agents.validation import find_problem

Mutation = Callable[[np.random.Generator, bytes, bytes], bytes]

LARGEST = 1_000_000
"""Bytes of an input."""
_LENGTHS = {b"\xdc": 2, b"\xde": 2, b"\xda": 2, b"\xc5": 2, b"\xdd": 4, b"\xdf": 4, b"\xdb": 4, b"\xc6": 4}
"""Heads of lists, maps, texts and bytes in msgpack, and the bytes in which each says how long it is."""
_TYPES = ("<f8", "<f4", "|u1", "|b1", "<i8", "<f2", "<U4", "|O", "<M8", "8", "f8,f8", ">f8", "<c16")
_EXTENTS = (0, 1, 2, 3, -1, 2**16, 2**31, 2**62, 2**64 - 1, 1.0, "1", b"1", None, [1])


def flip_bits(random: np.random.Generator, packed: bytes, other: bytes) -> bytes:
    changed = bytearray(packed)
    for at in random.integers(8 * len(packed), size=random.integers(1, 9)):
        changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


def truncate(random: np.random.Generator, packed: bytes, other: bytes) -> bytes:
    return packed[: random.integers(len(packed))]


def splice(random: np.random.Generator, packed: bytes, other: bytes) -> bytes:
    return packed[: random.integers(len(packed))] + other[random.integers(len(other)) :]


def repeat(random: np.random.Generator, packed: bytes, other: bytes) -> bytes:
    start, stop = np.sort(random.integers(min(len(packed), 400), size=2))
    return (
        packed[:start] + packed[start : stop + 1] * any_count(random, stop + 1 - start) + packed[stop + 1 :]
    )


def claim_length(random: np.random.Generator, packed: bytes, other: bytes) -> bytes:
    at = random.integers(min(len(packed), 400))
    head = random.choice(list(_LENGTHS))
    length = random.choice([b"\xff" * 4, b"\x7f" * 4, b"\x00\x01\x00\x00", random.bytes(4)])
    return packed[:at] + head + length[: _LENGTHS[head]] + packed[at + random.integers(8) :]


def nest(random: np.random.Generator, packed: bytes, other: bytes) -> bytes:
    at = random.integers(min(len(packed), 400))
    heads = [
        b"\x91",
        b"\x9f",
        b"\x81\xa1a",
        b"\x80",
        b"\xdc\x00\xc8",
        b"\xdd\x00\x01\x00\x00",
        b"\xc7\x01\x05",
    ]
    head = bytes(random.choice(np.array(heads, object)))
    return packed[:at] + head * any_count(random, len(head)) + packed[at:]


def plant(random: np.random.Generator, packed: bytes, other: bytes) -> bytes:
    """A well-formed tree of lists, sometimes in front of what is left of the message."""
    width = int(random.integers(2, 200))
    tree = bytes(random.choice(np.array([b"\x90", b"\x80", b"\xc0", b"\xa1a"], object)))
    most = min(any_count(random, 1), LARGEST // (width + 1))
    while len(tree) <= most:
        tree = b"\xdc" + width.to_bytes(2, "big") + tree * width
    return tree + packed[random.integers(len(packed)) :] if random.random() < 0.3 else tree


def noise(random: np.random.Generator, packed: bytes, other: bytes) -> bytes:
    return random.bytes(any_count(random, 1))


def retell(random: np.random.Generator, packed: bytes, other: bytes) -> bytes:
    """Well-formed, but one field is another: its type, shape or bytes, its name, or whose it is."""
    messages = msgpack.unpackb(packed)
    message = messages[random.integers(len(messages))]
    kind, values = message
    name = str(random.choice(list(values) or ["load"]))
    array = values.get(name)
    what = random.integers(5)
    if what == 0 or not isinstance(array, list):
        scalars = (
            0,
            -1,
            2**64 - 1,
            np.nan,
            -np.inf,
            1e308,
            True,
            "",
            "x" * 5000,
            b"x",
            None,
            {},
            ["<f8", [0], b""],
        )
        values[name] = scalars[random.integers(len(scalars))]
    elif what == 1:
        array[0] = str(random.choice(_TYPES))
    elif what == 2:
        array[1] = [_EXTENTS[at] for at in random.integers(len(_EXTENTS), size=random.integers(5))]
    elif what == 3:
        array[2] = random.bytes(any_count(random, 1))
        array[1] = [len(array[2]) // 8]
        array[2] = array[2][: 8 * array[1][0]]
    else:
        message[0] = str(random.choice(["Offer", "Fault", "Look", "Request", "Message", kind + "x"]))
    return bytes(msgpack.packb(messages))


def any_count(random: np.random.Generator, size: int) -> int:
    """Of pieces of this size: mostly few, sometimes as many as an input takes."""
    return max(1, int(10.0 ** random.uniform(0.0, np.log10(0.9 * LARGEST))) // int(size))


MUTATIONS: Sequence[Mutation] = (
    flip_bits,
    truncate,
    splice,
    repeat,
    claim_length,
    nest,
    plant,
    noise,
    retell,
)


@cache
def genuine() -> tuple[bytes, ...]:
    """Requests and answers, of a few numbers and of many, without their seals."""
    exchanges = [draw_exchange(seed, slots) for seed in (0, 2, 4) for slots in (3, 300)]
    lists = [each for private, asked in exchanges for each in (asked, ask(private, asked), asked[:1])]
    return tuple(bytes(unsealed(encode(messages))) for messages in lists)


def mutated(seed: int) -> tuple[str, bytes]:
    """The input of this number, and how it was made."""
    random = np.random.default_rng([seed, 7])
    packed, other = (genuine()[at] for at in random.integers(len(genuine()), size=2))
    if random.random() < 0.05:
        return "unsealed", flip_bits(random, sealed(packed), other)
    mutation = MUTATIONS[random.integers(len(MUTATIONS))]
    packed = mutation(random, packed, other)
    if random.random() < 0.2:
        packed = flip_bits(random, packed or b"\x90", other)
    return mutation.__name__, sealed(packed[:LARGEST])


def refuses(data: bytes) -> bool:
    """Decode as a coordinator or an agent does.

    Raises
    ------
    Exception : anything else than the documented error.
    """
    try:
        messages = decode(data)
    except ValueError as error:
        if not str(error).startswith("not a message of this protocol: "):
            raise
        return True
    for message in messages:
        find_problem(message, {})
    return False


@dataclass
class Found:
    """Of many inputs: what became of them, and the most that one took."""

    endings: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    """CPU seconds, and of which input."""
    beyond: float = 0.0
    """Bytes traced for each of an input's, over and above `allowed` for any."""
    factor: float = 0.0
    """The same of inputs of at least 100 kB, with nothing allowed."""
    small: int = 0
    """Most bytes traced for an input of less."""


def fuzz(seeds: range, allowed: int) -> Found:
    """Decode mutated messages, tracing memory and time."""
    found = Found()
    genuine()
    tracemalloc.start()
    try:
        for seed in seeds:
            how, data = mutated(seed)
            tracemalloc.reset_peak()
            before, start = tracemalloc.get_traced_memory()[0], time.process_time()
            ending = "refused" if refuses(data) else "taken"
            seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1] - before
            found.endings[f"{how} {ending}"] += 1
            found.slowest = max(found.slowest, (seconds, f"{how} {seed}, {len(data)} bytes"))
            found.beyond = max(found.beyond, (peak - allowed) / len(data))
            if len(data) >= 100_000:
                found.factor = max(found.factor, peak / len(data))
            else:
                found.small = max(found.small, peak)
    finally:
        tracemalloc.stop()
    return found


def fuzz_limited(seeds: range, room: int) -> Counter[str]:
    """The same, and asked of an agent, in this process with `room` bytes of address space and no more."""
    np.seterr(all="ignore")  # numbers of any size
    timeline, asked = draw_exchange(0)
    RegionHost(timeline).answer(encode(asked))
    genuine()
    endings: Counter[str] = Counter()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + room
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for seed in seeds:
        data = mutated(seed)[1]
        endings["refused" if refuses(data) else "taken"] += 1
        faults = [m.reason for m in decode(RegionHost(timeline).answer(data) or b"") if isinstance(m, Fault)]
        endings["answered with a fault" if faults else "answered"] += 1
        if any(reason.startswith("MemoryError") for reason in faults):
            raise MemoryError(f"input {seed}")
    return endings
