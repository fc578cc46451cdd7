"""Energy of requests and tokens in J at the IT equipment, so that a demand in either becomes MW."""

from __future__ import annotations

import re
from dataclasses import dataclass

from eglb.scenarios.physics.figure import Figure

J_PER_WH = 3600.0

SERVER_PER_ACCELERATOR = Figure(
    1.43,
    1.6,
    2.03,
    "J/J",
    "Elsworth et al. 2025, arXiv:2508.15734",
)
"""Energy of servers over that of the accelerators in them, which is what benchmarks measure.

Of a prompt's energy there, accelerators take 58 %, their hosts 25 %, idle machines 10 %: low without, central
with idle machines. High: NVIDIA DGX A100 data sheet, 6.5 kW for eight accelerators of 400 W.
"""

PEAK_FLOP_PER_J = 989.4e12 / 700.0
"""NVIDIA H100 SXM data sheet: dense BF16 per second at its rated power."""

DELIVERED_SHARE = Figure(0.026, 0.14, 0.28, "1", "delivered as ML.ENERGY measured on H100")
"""Of the peak FLOP per J, in ML.ENERGY's measurements of dense models of 8 to 405 billion parameters.

Low with batches of eight, high with the best: ten times the arithmetic per J.
"""


@dataclass(frozen=True)
class LanguageModel:
    """A model as measured: J of the accelerators per output token, and mean output tokens per request.

    Low, central and high are the best, the median and the worst of the batch sizes measured.
    """

    j_per_token: Figure
    tokens_per_request: float


def _measured(low: float, median: float, high: float, tokens: float, where: str) -> LanguageModel:
    source = f"ML.ENERGY leaderboard, 2026-02, {where}"
    return LanguageModel(Figure(low, median, high, "J/token", source), tokens)


_CHAT, _REASONING = "LM Arena chat", "GPQA"
MODELS: dict[str, LanguageModel] = {
    "llama-3.1-8b": _measured(0.0702, 0.0951, 0.455, 396, f"H100, {_CHAT}"),
    "llama-3.1-70b": _measured(0.373, 0.563, 3.76, 353, f"4 H100, {_CHAT}"),
    "llama-3.1-405b": _measured(2.06, 3.08, 14.0, 365, f"8 H100, FP8, {_CHAT}"),
    "qwen3-32b": _measured(0.228, 0.554, 1.73, 637, f"1 or 2 H100, {_CHAT}"),
    "qwen3-235b-a22b": _measured(1.09, 2.39, 7.29, 876, f"8 H100, {_CHAT}"),
    "deepseek-v3.1": _measured(0.606, 1.31, 8.57, 841, f"8 B200, {_CHAT}"),
    "gpt-oss-20b": _measured(0.0442, 0.0667, 0.356, 2170, f"1 or 2 H100, {_REASONING}"),
    "gpt-oss-120b": _measured(0.0860, 0.250, 0.782, 1760, f"1 or 2 H100, {_REASONING}"),
}
"""Accelerators alone; see `SERVER_PER_ACCELERATOR`."""

REQUESTS: dict[str, Figure] = {
    "gemini-apps": Figure(
        0.20,
        0.22,
        0.24,
        "Wh",
        "median text prompt of May 2025 less data-center overhead, Elsworth et al. 2025, arXiv:2508.15734",
    ),
    "bloom-176b": Figure(
        3.96,
        3.96,
        3.96,
        "Wh",
        "914 kWh for 230,768 requests, idle included, Luccioni et al. 2023, JMLR 24 253",
    ),
}
"""Services whose energy per request is published, servers and idle machines included."""


def j_per_token(model: str) -> Figure:
    """J at the servers per output token of a model in `MODELS`, or of one with so many parameters (``70b``).

    For a number of active parameters P: 2 P FLOP per token over the FLOP per J that are delivered.

    Raises
    ------
    KeyError : it is neither.
    """
    size = re.fullmatch(r"(\d+(?:\.\d+)?)b", model.lower())
    if size is None:
        return _at_servers(MODELS[model].j_per_token)
    ideal = 2.0 * float(size[1]) * 1e9 / PEAK_FLOP_PER_J
    share = DELIVERED_SHARE
    source = f"2 FLOP per active parameter, {share.source}"
    return _at_servers(
        Figure(ideal / share.high, ideal / share.central, ideal / share.low, "J/token", source)
    )


def wh_per_request(model: str) -> Figure:
    """Wh at the servers per request: a service of `REQUESTS`, or a model of `MODELS` with its mean answer.

    Raises
    ------
    KeyError : it is neither.
    """
    if model in REQUESTS:
        return REQUESTS[model]
    measured = MODELS[model]
    token = _at_servers(measured.j_per_token)
    low, central, high = (
        value * measured.tokens_per_request / J_PER_WH for value in (token.low, token.central, token.high)
    )
    return Figure(low, central, high, "Wh", f"{measured.tokens_per_request:g} tokens, {token.source}")


def server_power_w(utilisation: float, idle_w: float, peak_w: float) -> float:
    """W of a server at `utilisation` from 0 to 1: linear (Fan, Weber and Barroso 2007, ISCA)."""
    return idle_w + (peak_w - idle_w) * utilisation


def server_wh_per_request(idle_w: float, peak_w: float, peak_per_s: float, utilisation: float) -> float:
    """Wh per request where servers run at `utilisation` of the `peak_per_s` requests they can answer."""
    return server_power_w(utilisation, idle_w, peak_w) / (utilisation * peak_per_s) / J_PER_WH


def _at_servers(figure: Figure) -> Figure:
    over = SERVER_PER_ACCELERATOR
    return Figure(
        figure.low * over.low,
        figure.central * over.central,
        figure.high * over.high,
        figure.unit,
        f"{figure.source}; servers {over.central:g} times their accelerators, {over.source}",
    )
