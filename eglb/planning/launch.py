"""Agents at work: started where the user says, seated before a market, and ended whatever happens."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eglb.agents.region import PrivateData
from eglb.coordinator.fleet.fleet import Fleet, group_regions, host_slices, regions_per_host
from eglb.coordinator.fleet.network import Network, WideArea
from eglb.coordinator.fleet.transport import InProcess, Transport
from eglb.coordinator.market.market import Market

if TYPE_CHECKING:
    from eglb.coordinator.fleet.faults import Faults


@dataclass(frozen=True, eq=False)
class Launched:
    """Agents that answer: `fleet` speaks to them over `transport`, which expects delays as `clock` tells."""

    fleet: Fleet
    transport: Transport
    hosts: Sequence[PrivateData]
    clock: WideArea | None


@contextmanager
def launch(
    market: Market,
    private: PrivateData,
    *,
    address: str,
    regions_per_actor: int | None = None,
    deadline: float = 20.0,
    network: Network | None = None,
    faults: Faults | None = None,
) -> Iterator[Launched]:
    """Start an agent for every region of `private`; arguments as for `eglb.solve`.

    Raises
    ------
    FleetError : the cluster could not be started or reached. InputError : `faults` are of an unknown region.
    """

    def deal(cores: int, memory: float) -> list[PrivateData]:
        """The regions in groups, each for one host."""
        return group_regions(
            private, regions_per_actor or regions_per_host(market.regions, market.slots, cores, memory)
        )

    transport: Transport
    if address == "inprocess":
        # In one process several hosts are only more work, save where something lies between them.
        together = regions_per_actor is None and network is None and faults is None
        hosts: Sequence[PrivateData] = [private] if together else deal(len(os.sched_getaffinity(0)), math.inf)
        transport = InProcess(hosts)
        if market.large:
            from eglb.agents import kernels  # noqa: F401  (loaded before the clock of the solve starts)
    else:
        from eglb.coordinator.fleet.ray_transport import RayActors

        transport = actors = RayActors(deal, address, regions_per_actor is None)
        hosts = actors.regions
    try:
        if faults is not None:
            from eglb.coordinator.fleet.faults import FaultyTransport

            transport = FaultyTransport(transport, faults, [host.names for host in hosts])
        slices = host_slices(market, hosts)
        clock = WideArea(transport, network, slices) if network is not None else None
        sizes = {"slot": market.slots, "kind": market.kinds}
        yield Launched(Fleet(clock or transport, slices, deadline, sizes=sizes), transport, hosts, clock)
    finally:
        transport.close()


def place_problems(address: str, regions_per_actor: int | None, deadline: float) -> list[str]:
    """What is wrong with where agents are to run."""
    problems = []
    host, _, port = address.rpartition(":")
    good_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if address not in ("local", "auto", "inprocess") and not (host and good_port and "/" not in host):
        problems.append(f"address {address!r} is none of local, auto, inprocess and HOST:PORT")
    if regions_per_actor is not None and regions_per_actor < 1:
        problems.append(f"regions_per_actor must be at least 1, not {regions_per_actor!r}")
    if not deadline > 0:
        problems.append(f"deadline must be above zero, not {deadline!r}")
    return problems
