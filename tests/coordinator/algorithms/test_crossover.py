"""Two algorithms in a row: who runs when, what is kept, and that the certificate is like any other."""

from __future__ import annotations

import numpy as np
import pytest
from support.known_answers import build_backwards

from eglb.coordinator.algorithms.admm import Admm
from eglb.coordinator.algorithms.algorithm import Algorithm, Finished
from eglb.coordinator.algorithms.crossover import Crossover
from eglb.coordinator.algorithms.newton import Newton
from eglb.coordinator.exchange import Broadcast, Round
from eglb.coordinator.fleet.fleet import Fleet, group_regions, host_slices
from eglb.coordinator.fleet.transport import InProcess
from eglb.coordinator.run import Outcome, run
from eglb.planning.partition import partition


class StopsAtOnce(Newton):
    """An interior point that gives up after `rounds` of its steps."""

    rounds = 4
    _left = 0

    def step(self, heard: Round) -> Broadcast | Finished:
        action = super().step(heard)
        self._left += 1
        return Finished(stalled=True) if self._left > self.rounds else action


def crossover_run(seed: int, gap: float, **how: object) -> tuple[Crossover, Outcome, float, Fleet]:
    (scenario, optimum), _ = build_backwards(seed)
    parts = partition(scenario)
    hosts = group_regions(parts.region, 2)
    algorithm = Crossover(parts.market, gap, **how)  # type: ignore[arg-type]
    fleet = Fleet(InProcess(hosts), host_slices(parts.market, hosts))
    return algorithm, run(algorithm, fleet, max_rounds=600), optimum, fleet


@pytest.mark.parametrize("seed", range(6))
def test_crossover_reaches_what_admm_alone_does_not(seed: int) -> None:
    algorithm, outcome, optimum, _ = crossover_run(seed, 1e-6, first=Admm, second=Newton, hand_over_gap=1e-3)
    found = algorithm.incumbent
    assert outcome is Outcome.CONVERGED
    assert found.bound <= optimum * (1 + 1e-9) and found.objective >= optimum * (1 - 1e-9)
    assert found.objective - found.bound <= 1e-6 * abs(found.objective)


@pytest.mark.parametrize("rounds", [0, 1, 4])
def test_where_the_first_stalls_the_second_goes_on_from_its_certificate(
    rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StopsAtOnce, "rounds", rounds)
    seen: list[tuple[float, float]] = []
    ask = Admm.start

    def watched(self: Admm) -> Broadcast:
        seen.append((self.incumbent.objective, self.incumbent.bound))
        return ask(self)

    monkeypatch.setattr(Admm, "start", watched)
    algorithm, outcome, optimum, _ = crossover_run(3, 1e-4, first=StopsAtOnce, second=Admm)
    assert outcome is Outcome.CONVERGED and len(seen) == 1
    found = algorithm.incumbent
    assert found.objective <= seen[0][0] and found.bound >= seen[0][1]
    assert found.bound <= optimum * (1 + 1e-9) and found.objective >= optimum * (1 - 1e-9)
    if rounds == 4:
        assert np.isfinite(seen[0]).all()  # it had something to keep


def test_nothing_is_handed_over_once_the_gap_is_reached() -> None:
    started: list[type[Algorithm]] = []

    class Second(Admm):
        def __init__(self, *told: object) -> None:
            started.append(type(self))
            super().__init__(*told)  # type: ignore[arg-type]

    _, outcome, _, _ = crossover_run(1, 1e-4, first=Newton, second=Second)
    assert outcome is Outcome.CONVERGED and not started


def test_a_second_stall_is_the_end() -> None:
    algorithm, outcome, _, _ = crossover_run(2, 1e-12, first=StopsAtOnce, second=StopsAtOnce)
    assert outcome is Outcome.STALLED
    assert algorithm.incumbent.gap > 1e-12
