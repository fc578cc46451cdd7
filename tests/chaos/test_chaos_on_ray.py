"""Seeded schedules on a cluster of four nodes: processes killed and stopped, nodes and messages lost.

    EGLB_CHAOS_RAY_RUNS=200 python -m pytest tests/chaos/test_chaos_on_ray.py      more schedules
    EGLB_CHAOS_SEED=7 python -m pytest tests/chaos/test_chaos_on_ray.py -s         one, told in full

A seed draws what happens, and when by the coordinator's calls; what agents do meanwhile is up to the machine.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from chaos.model import Broken
from chaos.on_ray import NODE_LOST, NODES, draw_struck_schedule, play_struck
from support.many_nodes import ManyNodes, files_and_shared_blocks, many_nodes, until

pytestmark = pytest.mark.cluster

ONE = os.environ.get("EGLB_CHAOS_SEED")
RUNS = int(os.environ.get("EGLB_CHAOS_RAY_RUNS", "20"))


def replay(seed: int) -> str:
    return f"EGLB_CHAOS_SEED={seed} python -m pytest tests/chaos/test_chaos_on_ray.py -s"


@pytest.fixture(scope="module")
def cluster() -> Iterator[ManyNodes]:
    with many_nodes(NODES) as nodes:
        yield nodes


@pytest.mark.skipif(ONE is None, reason="EGLB_CHAOS_SEED names no schedule")
def test_one_schedule(cluster: ManyNodes) -> None:
    struck = draw_struck_schedule(int(ONE or 0))
    print(f"\n{struck}\n{play_struck(struck, cluster)}")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(ONE is not None, reason="EGLB_CHAOS_SEED names the one to run")
def test_what_is_published_holds_and_nothing_is_left(
    cluster: ManyNodes, cluster_processes_started: Callable[[], dict[int, str]]
) -> None:
    def agents() -> list[str]:
        return [
            title for title in cluster_processes_started().values() if title.startswith("ray::RegionHost")
        ]

    broken: list[str] = []
    happened: Counter[str] = Counter()
    left: list[tuple[int, int]] = []
    for seed in range(RUNS):
        began = time.monotonic()
        try:
            played = play_struck(draw_struck_schedule(seed), cluster)
        except Exception as error:
            what = str(error) if isinstance(error, Broken) else f"{type(error).__name__}: {error}"
            broken.append(f"{what}\n    {replay(seed)}")
            continue
        finally:
            until(lambda: not agents(), f"all agents of schedule {seed} end")
            left.append(files_and_shared_blocks())
        print(f"\n{seed}: {time.monotonic() - began:.1f} s, {played}", end="")
        happened.update(played.counts)
        happened[f"ended {played.ended}"] += 1
    print(f"\n{dict(sorted(happened.items()))}")
    assert not broken, "\n".join(broken)
    struck = {"killed", "stopped", NODE_LOST, "lost", "drained"}
    assert {*struck, "silent", "drop", "duplicate", "late", "corrupt"} <= set(happened)
    assert happened["ended converged"] >= 0.5 * RUNS
    files, shared = left[1]
    assert max(each[0] for each in left) <= files + 5
    assert max(each[1] for each in left) <= shared + 2048, "more than a megabyte"
