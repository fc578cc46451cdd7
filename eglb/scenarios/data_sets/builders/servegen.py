"""Request rates of five production language models: summed over clients, and each client by the hour."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.scenarios.data_sets.sets import SERVEGEN
from eglb.scenarios.data_sets.text_tables import Sources, shortest, write_rows

# Model -> its folder, and which of its token counts is the input.
MODELS = {
    "m-large": ("language", "input_tokens"),
    "m-mid": ("language", "input_tokens"),
    "m-small": ("language", "input_tokens"),
    "deepseek-r1": ("reason", "input_tokens"),
    "mm-image": ("multimodal", "text_tokens"),
}
BY_CLIENT = ("m-large", "m-mid", "m-small")
SLOT_S, WINDOW_S = 600, 21_600  # a rate's time, and a distribution's
_BIN = re.compile(r"(\d+): ([-+.e\d]+)")


def build(sources: Sources, data: Path, out: Path) -> None:
    """Write ``llm/servegen_*``: requests per second, and mean tokens where clients tell them."""
    rows: list[list[str]] = []
    for model, (category, entered) in MODELS.items():
        folder = sources.path(SERVEGEN, f"data/{category}/{model}")
        clients = {int(re.findall(r"\d+", path.name)[0]): path for path in folder.glob("chunk-*-trace.csv")}
        rates = {client: _rates(clients[client]) for client in sorted(clients)}
        total = np.sum(list(rates.values()), axis=0)
        known, tokens_in, tokens_out = np.zeros((3, len(total)))
        for client, rate in rates.items():
            path = folder / f"chunk-{client}-dataset.json"
            if not path.exists():
                continue
            for begin, window in json.loads(path.read_text("utf-8")).items():
                means = _mean(window[entered]), _mean(window["output_tokens"])
                if means[0] is None or means[1] is None:
                    continue
                at = slice(int(begin) // SLOT_S, (int(begin) + WINDOW_S) // SLOT_S)
                known[at] += rate[at]
                tokens_in[at] += rate[at] * means[0]
                tokens_out[at] += rate[at] * means[1]
        with np.errstate(invalid="ignore"):
            cells = (
                shortest(np.round(total, 4)),
                shortest(np.round(tokens_in / known, 1)),
                shortest(np.round(tokens_out / known, 1)),
                shortest(np.round(known / total, 3)),
            )
        rows += [[str(SLOT_S * t), model, *row] for t, row in enumerate(zip(*cells, strict=True))]
        if model in BY_CLIENT:
            _write_clients(out / "llm" / f"servegen_{model}_clients_hourly.csv.gz", rates)
    heading = ["t_s", "model", "req_per_s", "mean_input_tokens", "mean_output_tokens", "token_data_share"]
    write_rows(out / "llm" / "servegen_10min.csv", heading, rows)


def _write_clients(path: Path, rates: dict[int, Array]) -> None:
    """Mean requests per second of each hour, a column for each client, the largest first."""
    by_volume = sorted(rates, key=lambda client: -rates[client].sum())
    hourly = [shortest(np.round(rates[client].reshape(-1, 6).mean(axis=1), 4)) for client in by_volume]
    rows = ([str(hour), *row] for hour, row in enumerate(zip(*hourly, strict=True)))
    write_rows(path, ["hour", *(f"c{client}" for client in by_volume)], rows)


def _rates(path: Path) -> Array:
    """Requests per second of one client, by ten minutes."""
    return np.array([float(line.split(",")[1]) for line in path.read_text("utf-8").split()])


def _mean(distribution: str) -> float | None:
    """Mean of a distribution written as ``{tokens: share, ...}``; None if it is empty."""
    bins = [(int(tokens), float(share)) for tokens, share in _BIN.findall(distribution)]
    shares = sum(share for _, share in bins)
    return sum(tokens * share for tokens, share in bins) / shares if shares > 0 else None
