"""Energy of tokens and requests: by hand, by formula against measurement, and a server's idle power."""

from __future__ import annotations

import pytest

from eglb.scenarios.physics.energy import (
    MODELS,
    REQUESTS,
    SERVER_PER_ACCELERATOR,
    j_per_token,
    server_power_w,
    server_wh_per_request,
    wh_per_request,
)


def test_servers_take_more_than_their_accelerators() -> None:
    found, measured = j_per_token("llama-3.1-70b"), MODELS["llama-3.1-70b"].j_per_token
    assert found.central == pytest.approx(measured.central * SERVER_PER_ACCELERATOR.central)
    assert found.low < found.central < found.high and "ML.ENERGY" in found.source


def test_a_request_is_its_tokens() -> None:
    model = MODELS["qwen3-32b"]
    expected = j_per_token("qwen3-32b").central * model.tokens_per_request / 3600
    assert wh_per_request("qwen3-32b").central == pytest.approx(expected)
    assert wh_per_request("gemini-apps") == REQUESTS["gemini-apps"]


@pytest.mark.parametrize(("size", "model"), [("8b", "8b"), ("70B", "70b"), ("405b", "405b")])
def test_the_formula_encloses_what_was_measured(size: str, model: str) -> None:
    """2 FLOP per parameter: of these, measurements lie within a factor of two of the central figure."""
    formula, measured = j_per_token(size), j_per_token(f"llama-3.1-{model}")
    assert formula.low <= measured.central <= formula.high
    assert formula.central / 2 < measured.central < formula.central * 2


def test_formula_by_hand() -> None:
    """70e9 * 2 FLOP at 0.14 of 989.4 TFLOP per 700 J, times 1.6."""
    assert j_per_token("70b").central == pytest.approx(1.4e11 / (0.14 * 989.4e12 / 700) * 1.6)


@pytest.mark.parametrize("name", ["llama", "70", "b", "-3b"])
def test_unknown_models(name: str) -> None:
    with pytest.raises(KeyError):
        j_per_token(name)
    with pytest.raises(KeyError):
        wh_per_request(name)


def test_a_server_is_linear_between_idle_and_peak() -> None:
    assert [server_power_w(u, 200.0, 600.0) for u in (0.0, 0.5, 1.0)] == [200.0, 400.0, 600.0]
    # Half busy: 400 W for 50 of 100 requests per second, 8 J each.
    assert server_wh_per_request(200.0, 600.0, 100.0, 0.5) == pytest.approx(8.0 / 3600)
