"""Wheel, sdist and editable install, in fresh environments, run from folders that could get in the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
KINDS = ("wheel", "sdist", "editable")
PLACES = ("empty", "checkout", "beside a folder eglb")
PLAN = ("solve", "synthetic:3x4,reach=2", "--gap", "1e-3", "--json", "--quiet")
IMPORT = """
import json, eglb
plan = eglb.solve(eglb.load("synthetic:3x4,reach=2"), gap=1e-3, address={address!r})
print(json.dumps(plan.to_dict()))
"""

pytestmark = [pytest.mark.long, pytest.mark.cluster]


def run(*words: object, cwd: Path = HOUSE) -> str:
    """What a command prints; without the variables by which Python finds the checkout of this test."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tracked files, as a clone has them."""
    place = tmp_path_factory.mktemp("clone") / "eglb"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=HOUSE, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (HOUSE / name).is_symlink() or (HOUSE / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HOUSE / name, place / name, follow_symlinks=False)
    return place


@pytest.fixture(scope="module", params=KINDS)
def python(request: pytest.FixtureRequest, sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which eglb alone was installed; the rest comes from this one."""
    place = tmp_path_factory.mktemp(request.param)
    venv.create(place / "env", with_pip=False, symlinks=True)
    found = place / "env" / "bin" / "python"
    paths = sysconfig.get_paths(vars={"base": str(place / "env"), "platbase": str(place / "env")})
    (Path(paths["purelib"]) / "rest.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--python",
        found,
        "install",
        "-qq",
        "--no-deps",
        "--no-build-isolation",
    )
    if request.param == "editable":
        run(*pip, "-e", sources)
        return found
    backend = (
        "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
    )
    kind = "build_sdist" if request.param == "sdist" else "build_wheel"
    made = run(sys.executable, "-c", backend, kind, place, cwd=sources).splitlines()[-1]
    run(*pip, place / made)
    return found


@pytest.fixture
def folder(request: pytest.FixtureRequest, sources: Path, tmp_path: Path) -> Path:
    """Where commands are run: an empty folder, the checkout, or one that holds a folder of the name eglb."""
    if request.param == "beside a folder eglb":
        (tmp_path / "eglb").mkdir()
    return sources if request.param == "checkout" else tmp_path


@pytest.mark.parametrize("folder", PLACES, indirect=True)
@pytest.mark.parametrize("address", ["inprocess", "local"])
@pytest.mark.parametrize("way", ["command", "module", "import"])
def test_a_plan_is_made(python: Path, folder: Path, way: str, address: str) -> None:
    where = ("--address", address)
    if way == "command":
        said = run(python.with_name("eglb"), *PLAN, *where, cwd=folder)
    elif way == "module":
        said = run(python, "-m", "eglb", *PLAN, *where, cwd=folder)
    else:
        said = run(python, "-c", IMPORT.format(address=address), cwd=folder)
    plan = json.loads(said.splitlines()[-1])
    assert plan["status"] == "converged" and plan["actors"] == (1 if address == "inprocess" else 3)
