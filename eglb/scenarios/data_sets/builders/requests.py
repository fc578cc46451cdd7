"""Single requests to language models with their tokens, from three services."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from eglb.scenarios.data_sets.sets import AZURE, MOONCAKE
from eglb.scenarios.data_sets.text_tables import Sources, shortest, write_rows

SERVICES = ("code", "conv")
CONVERSATION = "FAST25-release/traces/conversation_trace.jsonl"


def build(sources: Sources, data: Path, out: Path) -> None:
    """Write the traces of ``llm/``: time since the first request, tokens in, tokens out."""
    for service in SERVICES:
        _, *rows = sources.rows(AZURE, azure_path(service))
        times = np.array([row[0] for row in rows], "datetime64[ns]")
        seconds = shortest(np.round((times - times[0]).astype(float) / 1e9, 3))
        write_rows(
            out / "llm" / f"azure_llm_2023_{service}.csv.gz",
            ["t_s", "ContextTokens", "GeneratedTokens"],
            ([second, *tokens] for second, (_, *tokens) in zip(seconds, rows, strict=True)),
        )
    lines = sources.path(MOONCAKE, CONVERSATION).read_text("utf-8").splitlines()
    names = ("timestamp", "input_length", "output_length")
    write_rows(
        out / "llm" / "mooncake_conversation.csv.gz",
        ["t_ms", "input_tokens", "output_tokens"],
        ([str(request[name]) for name in names] for request in map(json.loads, lines)),
    )


def azure_path(service: str) -> str:
    """Where one service's requests are."""
    return f"data/AzureLLMInferenceTrace_{service}.csv"
