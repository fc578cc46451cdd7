"""Every script of examples/ runs as it is, says something true, and connects to nothing but this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
SAYS = {
    "cluster": "2 actors and this process agree",
    "jobs": "2 jobs admitted; 0 refused; 0 missed",
    "live_rehearsal": "slots in the books",
    "own_fleet": "constraints kept",
    "own_forecaster": "no run is below the bound",
    "own_policy": "it beats cheapest first",
}
SCRIPTS = sorted((HOUSE / "examples").glob("*.py"))
# Python reads it at its start, in processes that the script starts too. Datagram sockets send nothing when
# they connect: Ray asks one for the address of this machine.
GUARD = """
import socket, sys
def guard(event, given):
    if event == "socket.connect" and given[0].family in (socket.AF_INET, socket.AF_INET6):
        own = {"localhost", "::1", OWN}
        if given[0].type == socket.SOCK_STREAM and not (given[1][0].startswith("127.") or given[1][0] in own):
            open(TOLD, "a").write(f"{given[1]}\\n")
            raise OSError("no network in this test")
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    probe.connect(("192.0.2.1", 9))
    OWN = probe.getsockname()[0]
except OSError:
    OWN = "127.0.0.1"
probe.close()
sys.addaudithook(guard)
"""


def test_every_script_is_expected() -> None:
    assert [path.stem for path in SCRIPTS] == sorted(SAYS)
    page = (HOUSE / "examples" / "README.md").read_text("utf-8")
    assert all(f"- `{path.name}`: " in page for path in SCRIPTS)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.cluster] if path.stem == "cluster" else [])
        for path in SCRIPTS
    ],
)
def test_example(script: Path, tmp_path: Path) -> None:
    work, guard, told = tmp_path / "work", tmp_path / "guard", tmp_path / "told"
    work.mkdir()
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(f"TOLD = {str(told)!r}\n{GUARD}")
    ahead = [str(guard), str(HOUSE), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=work,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, ahead))},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert SAYS[script.stem] in done.stdout
    assert not told.exists(), told.read_text()
