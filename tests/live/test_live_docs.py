"""docs/live.md is true: its commands run in one shell and print what it shows, its tables are true."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import httpx
import pytest
from support.service_states import world10_desk

from eglb.live.accounting.alerts import Thresholds
from eglb.live.http.api import make_app
from eglb.live.storage import schema

PAGE = Path(__file__).parents[2] / "docs" / "live.md"
TEXT = PAGE.read_text("utf-8")
PORT = "8080"
MARK = "next command: "


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


def session() -> list[tuple[str, list[str]]]:
    """(command, lines shown below it), in order."""
    steps: list[tuple[str, list[str]]] = []
    for line in "".join(blocks("console")).splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        elif line.strip():
            steps[-1][1].append(line)
    return steps


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def alike(line: str) -> str:
    """Without times and numbers of the day."""
    return re.sub(r"\s+", " ", line).strip()


@pytest.mark.slow
@pytest.mark.skipif(not all(map(shutil.which, ("curl", "openssl"))), reason="no curl or openssl")
def test_commands_run_and_print_what_is_shown(tmp_path: Path) -> None:
    for block in blocks("toml"):
        (tmp_path / block.splitlines()[0].removeprefix("# ")).write_text(block)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "eglb"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m eglb "$@"\n')
    command.chmod(0o755)
    port, steps = free_port(), session()
    script = []
    for number, (line, _) in enumerate(steps):
        line = line.replace(f":{PORT}", f":{port}")
        if line.startswith("eglb serve") and "--listen" not in line:
            line += " --listen 127.0.0.1:0"
        if line.endswith("&"):
            ready = f"curl -sf http://127.0.0.1:{port}/readyz > /dev/null"
            line = f"{line}\nfor _ in $(seq 600); do {ready} && break; sleep 0.1; done"
        script += [f"echo; echo '{MARK}{number}'", line, f"echo; echo exit code of {number}: $?"]
    shell = subprocess.Popen(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "COLUMNS": "120"},
        start_new_session=True,
    )
    try:
        told, _ = shell.communicate(timeout=120)
    finally:
        with suppress(ProcessLookupError):  # all have ended, as they should
            os.killpg(shell.pid, signal.SIGKILL)
    assert "Traceback" not in told and 'problems": ["' not in told, told
    printed = told.split(MARK)[1:]
    assert len(printed) == len(steps) >= 10
    for (line, shown), text in zip(steps, printed, strict=True):
        said = {alike(each) for each in text.splitlines()}
        assert {alike(each) for each in shown} <= said, f"{line}\n{text}"
    routed = next(text for (line, _), text in zip(steps, printed, strict=True) if "/v1/route" in line)
    assert '"gateway":"gw-london"' in routed.replace(" ", "")
    assert {path.name for path in (tmp_path / "parquet").iterdir()} == {
        f"{name}.parquet" for name in schema.of_slots
    }


def test_every_endpoint_is_listed() -> None:
    app = make_app(world10_desk(), hosts=None)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            return await client.get("/openapi.json")

    served = set(asyncio.run(ask()).json()["paths"])
    assert len(served) >= 10
    assert served <= {path.split("?")[0] for path in re.findall(r"`(?:GET |POST )?(/[^`[]*)", TEXT)}


def test_thresholds_are_those_of_the_product() -> None:
    shown = dict(re.findall(r"^\| `(\w+)` \| .* \| ([0-9.]+) \|$", TEXT, re.M))
    assert {name: float(value) for name, value in shown.items()} == {
        each.name: each.default for each in fields(Thresholds)
    }


def test_every_linked_page_exists() -> None:
    named = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert len(named) >= 4
    assert all((PAGE.parent / name).exists() for name in named)
