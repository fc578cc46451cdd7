"""Wrong footprint estimates: their size and memory, and what they depend on."""

from __future__ import annotations

import numpy as np
import pytest

from eglb.foundation.errors import InputError
from eglb.sims.replay.estimate_errors import EstimateError, distort, parse_estimate_error

NAMES = tuple(f"r{i}" for i in range(200))


@pytest.mark.parametrize("kind", ["iid", "drift", "bias"])
def test_spread_and_memory(kind: str) -> None:
    error = np.log(distort(np.ones((200, 2, 600)), NAMES, EstimateError(kind, 0.3, 5)))
    assert error.std() == pytest.approx(0.3, rel=0.15)
    step = np.corrcoef(error[:, :, 300].ravel(), error[:, :, 301].ravel())[0, 1]
    assert step == pytest.approx({"iid": 0.0, "drift": 0.99, "bias": 1.0}[kind], abs=0.12)
    between = np.corrcoef(error[:, 0, 300], error[:, 1, 300])[0, 1]
    assert abs(between) < 0.25


def test_a_region_has_its_own_errors_whoever_else_is_there() -> None:
    intensity = np.random.default_rng(0).random((3, 2, 50))
    error = EstimateError("drift", 0.2, 1)
    whole = distort(intensity, ("a", "b", "c"), error)
    np.testing.assert_array_equal(distort(intensity[1:2], ("b",), error)[0], whole[1])
    assert not np.allclose(distort(intensity, ("a", "b", "c"), EstimateError("drift", 0.2, 2)), whole)
    np.testing.assert_array_equal(distort(intensity, ("a", "b", "c"), EstimateError("exact")), intensity)


def test_names_and_mistakes() -> None:
    assert parse_estimate_error("exact") == EstimateError("exact")
    assert parse_estimate_error("bias:sd=0.4,seed=2") == EstimateError("bias", 0.4, 2)
    with pytest.raises(InputError, match="estimates 'biased' is not known; did you mean bias"):
        parse_estimate_error("biased")
    with pytest.raises(InputError, match="sd: '-1' is not a number of at least 0"):
        parse_estimate_error("iid:sd=-1")
