"""Fault injection between coordinator and agents, drawn from a seed: for experiments and tests.

    drop=0.1,late=0.3:5,crash=0.01,out=oregon@20+50,seed=3

loses every tenth reply, has three in ten come up to five calls late, ends an agent's process one call in a
hundred, and has oregon silent for fifty calls from the twentieth on.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, Self

import numpy as np

from eglb.agents.codec import Message, decode, encode
from eglb.agents.host import RoundNumber
from eglb.coordinator.fleet.transport import Arrival, Transport, TransportWrapper, Wait
from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError

_EARLIER_KEPT = 5
"""Answers of a host that may be sent again instead of the present one."""
_MOST_BYTES_FLIPPED = 4


@dataclass(frozen=True)
class Bounded:
    """Happens with this probability, by chance up to so many times over: calls or hosts."""

    rate: float = 0.0
    most: int = 1


@dataclass(frozen=True)
class Outage:
    """A region is silent for so many calls from one on."""

    region: str
    start: int
    calls: int


@dataclass(frozen=True)
class Faults:
    """Probabilities per message, or per host and call, and what is known beforehand.

    Parameters
    ----------
    drop, unheard : a reply, or a request, is lost. duplicate : a request or a reply comes twice.
    late : a reply comes up to so many calls late. slow : a part of the hosts, all of whose replies do.
    reorder : a request is overtaken by the next one. corrupt, garble : a reply, or a request, is damaged.
    crash : a host loses its memory and is silent for up to so many calls. nodes : several do at once.
    freeze : a host is silent until it is restarted. out : see `Outage`.
    until : the last call in which anything new goes wrong; 0 if there is none.
    """

    drop: float = 0.0
    unheard: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    garble: float = 0.0
    freeze: float = 0.0
    late: Bounded = Bounded()
    slow: Bounded = Bounded()
    crash: Bounded = Bounded()
    nodes: Bounded = Bounded()
    out: tuple[Outage, ...] = ()
    until: int = 0
    seed: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``name=value`` parted by commas: ``P``, ``P:MOST`` or, for `out`, ``REGION@START+CALLS``.

        Raises
        ------
        InputError : what is wrong, all of it.
        """
        found: dict[str, Any] = {}
        problems = []
        kinds = {f.name: str(f.type) for f in fields(cls)}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = part.partition("=")
            if name not in kinds:
                near = get_close_matches(name, kinds, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(kinds)}"
                problems.append(f"faults: {part!r}: nothing is called {name!r}; {hint}")
                continue
            try:
                read = _READERS[kinds[name]](value)
            except ValueError as error:
                problems.append(f"faults: {part!r}: {error}")
                continue
            found[name] = (*found.get(name, ()), read) if name == "out" else read
        if problems:
            raise InputError(problems)
        return cls(**found)

    def unknown_regions(self, names: Collection[str]) -> list[str]:
        """What is wrong with its outages in a fleet of regions with these names."""
        return [f"faults: no region is called {o.region!r}" for o in self.out if o.region not in names]


def _read_count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number of zero or more")
    return int(text)


def _read_rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"a probability lies between 0 and 1, {text} does not")
    return rate


def _read_bounded(text: str) -> Bounded:
    rate, colon, most = text.partition(":")
    found = Bounded(_read_rate(rate), _read_count(most) if colon else 1)
    if found.most < 1:
        raise ValueError("what follows the colon must be at least 1")
    return found


def _read_outage(text: str) -> Outage:
    region, at, span = text.rpartition("@")
    start, plus, calls = span.partition("+")
    if not (region and at and plus):
        raise ValueError("an outage is written REGION@START+CALLS")
    return Outage(region, _read_count(start), _read_count(calls))


_READERS: dict[str, Callable[[str], Any]] = {
    "float": _read_rate,
    "int": _read_count,
    "Bounded": _read_bounded,
    "tuple[Outage, ...]": _read_outage,
}


@dataclass
class _Health:
    """Of a host: silent until a call, or until it is restarted."""

    silent_until: int = 0
    frozen: bool = False


class FaultyTransport(TransportWrapper):
    """A line on which `Faults` happen, counted by name in `counts`.

    Parameters
    ----------
    hosts : the regions that each host holds.
    in_ticks : the clock counts calls, and what is paused; else it is that of `inner`, as for real agents.

    Raises
    ------
    InputError : an outage is of a region that nobody holds.
    """

    def __init__(
        self, inner: Transport, faults: Faults, hosts: Sequence[Sequence[str]], in_ticks: bool = True
    ) -> None:
        super().__init__(inner)
        self.faults = faults
        self.counts: Counter[str] = Counter()
        self.calls = 0
        self._in_ticks = in_ticks
        self._paused = 0.0
        self._random = random.Random(faults.seed)
        self._health = [_Health() for _ in hosts]
        holder = {name: h for h, names in enumerate(hosts) for name in names}
        if unknown := faults.unknown_regions(holder):
            raise InputError(unknown)
        self._outages = [(holder[o.region], range(o.start, o.start + o.calls)) for o in faults.out]
        slow = round(faults.slow.rate * len(hosts))
        self._slow = set(self._random.sample(range(len(hosts)), slow))
        self._requests: list[tuple[int, int, bytes]] = []
        self._replies: list[tuple[int, int, bytes | Exception]] = []
        self._earlier: dict[int, deque[bytes]] = defaultdict(lambda: deque(maxlen=_EARLIER_KEPT))

    def now(self) -> float:
        return self.calls + self._paused if self._in_ticks else self.inner.now()

    def pause(self, seconds: float) -> None:
        if self._in_ticks:
            self._paused += seconds
        else:
            self.inner.pause(seconds)

    def restart(self, host: int) -> None:
        self.counts["restarted"] += 1
        self._health[host] = _Health()
        self.inner.restart(host)

    def silent(self, host: int) -> bool:
        """Whether nothing gets to or from a host now."""
        health = self._health[host]
        out = any(h == host and self.calls in span for h, span in self._outages)
        return out or health.frozen or self.calls <= health.silent_until

    def call(
        self, payloads: Mapping[int, bytes], wait: Wait, probes: Mapping[int, bytes] | None = None
    ) -> list[Arrival]:
        self.calls += 1
        self._break_hosts()
        late = [(h, data) for due, h, data in self._requests if due <= self.calls]
        self._requests = [waiting for waiting in self._requests if waiting[0] > self.calls]
        own, again = self._on_the_way(payloads)
        probed, more = self._on_the_way(probes or {})
        arrived = self.inner.call(own, wait, probed)
        for h, data in [*again, *more, *((h, data) for h, data in late if not self.silent(h))]:
            arrived += self.inner.call({}, wait, {h: data})
        due = [(h, answer) for at, h, answer in self._replies if at <= self.calls]
        self._replies = [waiting for waiting in self._replies if waiting[0] > self.calls]
        due += self._on_the_way_back(arrived)
        if self.faults.reorder:
            self._random.shuffle(due)
        return due

    def _happens(self, what: str, rate: float) -> bool:
        """Whether it does this time; counted."""
        over = self.faults.until and self.calls > self.faults.until
        if over or rate == 0.0 or self._random.random() >= rate:
            return False
        self.counts[what] += 1
        return True

    def _break_hosts(self) -> None:
        faults = self.faults
        for h, health in enumerate(self._health):
            if self._happens("crash", faults.crash.rate):
                self._crash(h, faults.crash.most)
            if self._happens("freeze", faults.freeze):
                health.frozen = True
        if self._happens("nodes", faults.nodes.rate):
            together = self._random.randint(1, min(faults.nodes.most, len(self._health)))
            for h in self._random.sample(range(len(self._health)), together):
                self._crash(h, faults.crash.most)

    def _crash(self, host: int, most: int) -> None:
        self._health[host].silent_until = self.calls + self._random.randint(0, most) - 1
        self.inner.restart(host)
        if self._random.random() < 0.5:
            self._replies.append((self.calls, host, ConnectionError("its process ended")))

    def _on_the_way(self, payloads: Mapping[int, bytes]) -> tuple[dict[int, bytes], list[tuple[int, bytes]]]:
        """What gets there, and what gets there once more."""
        faults = self.faults
        first, again = {}, []
        for h, payload in payloads.items():
            data = payload
            if self.silent(h):
                self.counts["silent"] += 1
                continue
            if self._happens("unheard", faults.unheard):
                continue
            if self._happens("reorder", faults.reorder):
                self._requests.append((self.calls + 1, h, data))
                continue
            if self._happens("garble", faults.garble):
                data = flipped(self._random, data)
            first[h] = data
            if self._happens("duplicate", faults.duplicate):
                again.append((h, data))
        return first, again

    def _on_the_way_back(self, arrived: Sequence[Arrival]) -> list[Arrival]:
        faults = self.faults
        present = {h: answer for h, answer in arrived if isinstance(answer, bytes)}
        now: list[Arrival] = []
        for h, sent in arrived:
            answer = sent
            if self.silent(h):
                continue
            if isinstance(answer, bytes):
                if self._happens("drop", faults.drop):
                    continue
                if self._happens("corrupt", faults.corrupt):
                    answer = self._damaged(h, answer, present)
                self._earlier[h].append(present[h])
                if self._happens("late", faults.late.rate):
                    self._replies.append((self.calls + self._random.randint(1, faults.late.most), h, answer))
                    continue
                if h in self._slow and self._happens("slow", 1.0):
                    self._replies.append((self.calls + self._random.randint(0, faults.slow.most), h, answer))
                    continue
                if self._happens("duplicate", faults.duplicate):
                    self._replies.append((self.calls + self._random.randint(1, 3), h, answer))
            now.append((h, answer))
        return now

    def _damaged(self, host: int, answer: bytes, present: Mapping[int, bytes]) -> bytes:
        """Another answer instead: of another time or host, or with something in it changed."""
        others = [data for h, data in present.items() if h != host]
        wrong: bytes | None = None
        while wrong is None:
            kind = self._random.choice(("stale", "misdelivered", *DAMAGE))
            if kind == "stale" and self._earlier[host]:
                wrong = self._random.choice(self._earlier[host])
            elif kind == "misdelivered" and others:
                wrong = self._random.choice(others)
            elif kind in DAMAGE:
                wrong = DAMAGE[kind](self._random, answer)
        self.counts[kind] += 1
        return wrong


Damage = Callable[[random.Random, bytes], bytes | None]
"""Damages an answer; None where it has nothing that can be damaged so."""


def flipped(draw: random.Random, data: bytes) -> bytes:
    """Some bytes are others."""
    damaged = bytearray(data)
    for at in draw.sample(range(len(data)), min(draw.randint(1, _MOST_BYTES_FLIPPED), len(data))):
        damaged[at] ^= draw.randint(1, 255)
    return bytes(damaged)


def _cut_off(draw: random.Random, data: bytes) -> bytes:
    return data[: draw.randrange(len(data))]


def _one_reply_less(draw: random.Random, data: bytes) -> bytes | None:
    replies = decode(data)
    return encode(replies[:-1], narrow=False) if len(replies) > 1 else None


def _of_a_later_round(draw: random.Random, data: bytes) -> bytes | None:
    first, *replies = decode(data)
    if not isinstance(first, RoundNumber):
        return None
    return encode([replace(first, number=first.number + draw.randint(1000, 2000)), *replies], narrow=False)


def _with(change: Callable[[random.Random, Array], Array], only_signed: bool = False) -> Damage:
    """One array of an answer is another."""

    def damage(draw: random.Random, data: bytes) -> bytes | None:
        replies = decode(data)
        choice = [
            (r, name)
            for r, reply in enumerate(replies)
            for name, numbers in reply.numbers().items()
            if getattr(reply, name).size and (numbers.at_least == 0.0 or not only_signed)
        ]
        if not choice:
            return None
        r, name = draw.choice(choice)
        replies[r] = _replaced(replies[r], name, change(draw, np.array(getattr(replies[r], name), float)))
        return encode(replies, narrow=False)  # which would make an infinity finite

    return damage


def _replaced(message: Message, name: str, value: Array) -> Message:
    changed: dict[str, Any] = {name: value}
    return replace(message, **changed)


def _one_number(value: Callable[[float], float]) -> Callable[[random.Random, Array], Array]:
    def change(draw: random.Random, array: Array) -> Array:
        at = draw.randrange(array.size)
        array.flat[at] = value(float(array.flat[at]))
        return array

    return change


def _one_row_more(draw: random.Random, array: Array) -> Array:
    return np.concatenate([array, array[:1]])


DAMAGE: dict[str, Damage] = {
    "flipped": flipped,
    "cut off": _cut_off,
    "a reply less": _one_reply_less,
    "a later round": _of_a_later_round,
    "nan": _with(_one_number(lambda _: np.nan)),
    "inf": _with(_one_number(lambda _: np.inf)),
    "negative": _with(_one_number(lambda was: -1.0 - abs(was)), only_signed=True),
    "a row more": _with(_one_row_more),
}
"""Ways for an answer to be wrong that can be told from the answer."""
