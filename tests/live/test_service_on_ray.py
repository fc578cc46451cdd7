"""A service whose agents run on Ray, and die or freeze."""

from __future__ import annotations

import math
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from eglb.live.loop.records import Served
from eglb.live.service import Wanted, open_service
from eglb.live.storage.store import Store
from eglb.scenarios.catalog import load

pytestmark = pytest.mark.cluster

FROZEN, KILLED = 5, 2


def test_slots_are_planned_around_agents_that_are_lost_until_they_are_back(tmp_path: Path) -> None:
    import ray

    fleet, store = load("synthetic:3x120,seed=1,util=0.3"), Store(tmp_path / "books.db")
    served: list[Served] = []
    with open_service(fleet, Wanted(speed=math.inf, address="local", deadline=5.0), store) as service:
        transport = service.controller._planner._agents.transport

        def pid(host: int) -> int:
            actor = transport._cluster.actors[host]  # type: ignore[attr-defined]
            return int(ray.get(actor.__ray_call__.remote(lambda host: __import__("os").getpid())))

        def watch(each: Served) -> None:
            served.append(each)
            if each.slot == KILLED:
                os.kill(pid(0), signal.SIGKILL)
            if each.slot == FROZEN:
                os.kill(pid(1), signal.SIGSTOP)
            if each.slot > FROZEN:
                time.sleep(0.1)  # for a process to start
                if each.up == 3 and any(e.up == 2 for e in served):
                    service.controller.stop()

        service.controller._on_slot = watch
        service.controller.run()
    tables = store.tables(1000)[::-1]
    store.close()
    assert [table.problems() for table in tables] == [[]] * len(tables)
    plans = [table for table in tables if table.source == "plan"]
    assert len(plans) >= len(served) - 2
    out = [table for table in plans if table.capacity[1] == 0.0]
    assert [each.up for each in served[: FROZEN + 1]] == [3] * (FROZEN + 1), "who dies is made anew at once"
    assert served[FROZEN + 1].up == 2 and out
    np.testing.assert_allclose(out[0].load.sum(), out[0].demand.sum(), rtol=1e-9)
    assert served[-1].up == 3, "and who froze is back"
