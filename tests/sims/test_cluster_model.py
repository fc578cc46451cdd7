"""The cluster model: costs are found again from rounds made of them, and the parts add up as documented."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import product

import pytest

from eglb.scenarios.synthetic import SyntheticSpec
from eglb.sims.cluster_model import Costs, Layout, Sample, fit, measure_round

TRUE = Costs(
    agent_round=1e-4, agent_message=2e-5, agent_region_slot=5e-8,
    step_round=2e-4, step_edge_slot=1e-8, step_region_slot=3e-8, step_region=1e-6,
    codec_round=5e-5, codec_message=4e-5, codec_byte=1e-9,
    call_round=1e-3, call_message=6e-4, call_byte=2e-9,
)  # fmt: skip


def made(regions: int, slots: int, reach: int, hosts: int, calls: bool) -> Sample:
    """A round that costs exactly what `TRUE` says."""
    size = 11.0 * regions * slots + 70.0 * hosts
    cores = 2 if calls else 1
    at = Layout(regions, slots, regions * reach, hosts, size, shared_cores=cores, calls=calls)
    said = TRUE.predict(at)
    return Sample(at, said["agents"] + said["calls"], said["step"], said["codec"])


def test_costs_are_found_again() -> None:
    sizes = product((50, 100, 400), (24, 168), (4, 16), (1, 20))
    samples = [made(*size, calls=False) for size in sizes]
    samples += [made(n, 48, 8, hosts, calls=True) for n, hosts in product((50, 300), (2, 4, 8))]
    found = fit(samples)
    assert asdict(found) == pytest.approx(asdict(TRUE), rel=1e-6)


def test_parts_are_those_of_the_formula() -> None:
    at = Layout(
        1000, 100, 8000, hosts=10, bytes=2e6, cores_per_host=4, workers=5, rate_mbit_s=1000.0, latency_ms=2.0
    )
    said = TRUE.predict(at)
    assert said["agents"] == pytest.approx(1e-4 + 2e-5 * 5 + 5e-8 * 1e5 / 40)
    assert said["step"] == pytest.approx(2e-4 + 1e-8 * 8e5 / 5 + 3e-8 * 1e5 / 5 + 1e-6 * 1000)
    assert said["codec"] == pytest.approx(5e-5 + 4e-5 * 10 + 1e-9 * 2e6 / 5)
    assert said["calls"] == pytest.approx(1e-3 + 6e-4 * 10 + 2e-9 * 2e6 / 5)
    assert said["network"] == pytest.approx(2e-3 + 8 * 2e6 / (1e9 * 5))
    assert TRUE.predict(replace(at, calls=False))["calls"] == 0.0


def test_a_round_is_measured_part_by_part() -> None:
    sample = measure_round(SyntheticSpec(6, 6, reach=2), 3, actors=False, cycles=1)
    at = sample.layout
    assert (at.regions, at.slots, at.hosts, at.calls, at.shared_cores) == (6, 6, 3, False, 1)
    assert min(sample.agents, sample.step, sample.codec) > 0
    assert 6 <= at.edges <= 18 and 2 * 4 * 36 < at.bytes < 20_000
