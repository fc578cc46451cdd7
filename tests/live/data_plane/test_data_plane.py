"""The file that declares data planes, what is made of it, and how shares become whole parts."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.proxies import HOUSE, find, serving, short_folder, table

from eglb import load
from eglb.foundation.errors import InputError
from eglb.live.data_plane.keeping import read_data_planes, routed, write_starting_files
from eglb.live.data_plane.plane import apportion
from eglb.live.routing.router import Router

WORLD = load("world10")


def example() -> str:
    """The file that docs/data_plane.md shows."""
    text = (HOUSE / "docs" / "data_plane.md").read_text("utf-8")
    found = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


def whole(folder: Path) -> Path:
    """A file for all of world10 and all three planes."""
    with serving(WORLD.regions) as addresses:
        lines = ["[regions]", *(f'"{name}" = "{address}"' for name, address in addresses.items())]
    lines += ["[gateways]", *(f'"{name}" = {18001 + n}' for n, name in enumerate(WORLD.gateways))]
    lines += ['[haproxy]\nfolder = "h"\nsocket = "h/s"\ncheck = "/healthz"']
    lines += ['[nginx]\nfolder = "n"\nstatus = "127.0.0.1:18090"']
    lines += ['[envoy]\nfolder = "e"\nadmin = "127.0.0.1:18091"']
    path = folder / "data_plane.toml"
    path.write_text("\n".join(lines))
    return path


def test_the_documented_example_declares_all_three() -> None:
    with short_folder() as folder:
        (folder / "data_plane.toml").write_text(example())
        planes = read_data_planes(folder / "data_plane.toml", ["london", "new-york"], ["oregon", "virginia"])
        assert [plane.name for plane in planes] == ["HAProxy", "NGINX", "Envoy"]
        assert write_starting_files(planes)


CHECKS = {
    "haproxy": (["-c", "-f"], "h/haproxy.cfg"),
    "nginx": (["-t", "-c"], "n/nginx.conf"),
    "envoy": (["--mode", "validate", "-c"], "e/envoy.yaml"),
}


@pytest.mark.parametrize("proxy", CHECKS)
def test_the_proxy_itself_finds_nothing_wrong_with_its_starting_configuration(proxy: str) -> None:
    binary, (options, file) = find(proxy), CHECKS[proxy]
    if binary is None:
        pytest.skip(f"{proxy} is not installed: make data-plane")
    with short_folder() as folder:
        write_starting_files(read_data_planes(whole(folder), WORLD.gateways, WORLD.regions))
        command = [binary, *options, str(folder / file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr


def test_weights_that_are_there_are_not_overwritten_by_a_starting_configuration() -> None:
    with short_folder() as folder:
        planes = read_data_planes(whole(folder), WORLD.gateways, WORLD.regions)
        first = write_starting_files(planes)
        (folder / "n" / "weights.conf").write_text("kept")
        again = write_starting_files(planes)
        assert [path.name for path in again] == ["haproxy.cfg", "nginx.conf", "envoy.yaml"]
        assert len(first) == 3 + 1 + len(WORLD.gateways)
        assert (folder / "n" / "weights.conf").read_text() == "kept"


def test_everything_wrong_is_said_at_once_with_table_and_key(tmp_path: Path) -> None:
    path = tmp_path / "data_plane.toml"
    path.write_text(
        """
listn = "127.0.0.1"
[regions]
oregon = "10.1.0.10"
virgnia = "10.2.0.10:8080"
[gateways]
london = "18001"
[haproxy]
folder = "has space"
socket = "s"
[nginx]
folder = "n"
status = "127.0.0.1:99999"
key = "$request_id; root /"
"""
    )
    with pytest.raises(InputError) as caught:
        read_data_planes(path, ["london", "new-york"], ["oregon", "virginia"])
    found = [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]
    assert found == [
        "regions.oregon: '10.1.0.10' must be \"host:port\"",
        "gateways.london: '18001' must be a valid integer",
        f"haproxy.folder: 'has space' leads to '{tmp_path}/has space': only letters, digits and ./~+@:=,-_ "
        "may be in a path",
        "nginx.status: '127.0.0.1:99999' must be \"host:port\"",
        "nginx.key: '$request_id; root /' must be of NGINX's variables, such as $request_id or "
        "$remote_addr$http_user_agent",
        "listn: unknown; did you mean listen?",
        "regions.virgnia: the scenario has no such name; did you mean virginia?",
        "regions.virginia: missing",
        "gateways.new-york: missing",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[regions", "is not valid TOML: Expected ']'"),
        ("", "regions: missing"),
        (
            '[regions]\na = "h:1"\nA = "h:2"\n[gateways]\ng = 1\nh = 1\n[nginx]\nfolder="n"\nstatus="h:1"',
            "regions.a: proxies would call it 'a', as they would another one",
        ),
        (
            '[regions]\na = "h:1"\nA = "h:2"\n[gateways]\ng = 1\nh = 1\n[nginx]\nfolder="n"\nstatus="h:1"',
            "gateways.g: port 1 is another gateway's too",
        ),
        (
            '[regions]\na = "h:1"\nA = "h:2"\n[gateways]\ng = 1\nh = 2\n',
            "there is none of the tables haproxy, nginx, envoy",
        ),
        (
            f'[regions]\n[gateways]\n[haproxy]\nfolder = "/h"\nsocket = "/{"s" * 90}"',
            f"haproxy.socket: '/{'s' * 90}' is 91 characters long as a path; a socket's may have 90",
        ),
        ("[regions]\n[gateways]\n[envoy]\nadmin = 1", "envoy.folder: missing"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "data_plane.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_data_planes(path, ["g", "h"], ["a", "A"])
    assert any(each.startswith(f"{path}: {problem}") for each in caught.value.problems), caught.value


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_data_planes(tmp_path / "none.toml", [], [])


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60).filter(lambda row: sum(row) > 1e-3))
@settings(max_examples=100, deadline=None)
def test_parts_are_whole_add_up_and_are_less_than_one_off(row: list[float]) -> None:
    share = np.array(row) / sum(row)
    found = apportion(share, 10_000)
    assert found.sum() == 10_000
    assert (np.abs(found - share * 10_000) < 1.0 + 1e-6).all()
    assert (found[share == 0.0] == 0).all()


def test_planes_go_around_whom_the_router_goes_around() -> None:
    regions, shares = ["a", "b", "c"], {"g": [0.5, 0.3, 0.2], "h": [1.0, 0.0, 0.0]}
    plan = table(shares, regions)
    plan.reach[1] = [True, False, False]
    router = Router(("g", "h"), tuple(regions), np.array([[1.0, 2.0, 3.0]] * 2))
    router.publish(plan)
    router.mark("a", False)
    assert router.view is not None
    found = routed(router.view)
    assert found.share.tolist() == [[0.0, 0.6, 0.4], [1.0, 0.0, 0.0]]
    assert found.capacity.tolist() == [0.0, 2.0, 2.0]


def test_the_command_writes_what_to_start_with_or_says_what_is_wrong(eglb: Callable[..., Any]) -> None:
    with short_folder() as folder:
        path = whole(folder)
        ran = eglb("scenario", "data-plane", "world10", path, "--json")
        assert ran.code == 0
        files = ran.json()["files"]
        assert sorted(files) == ["Envoy", "HAProxy", "NGINX"]
        assert all(Path(name).is_file() for names in files.values() for name in names)
        path.write_text(path.read_text().replace("[nginx]", "[ngnix]"))
        ran = eglb("scenario", "data-plane", "world10", path)
        assert ran.code == 2
        assert "ngnix: unknown; did you mean nginx?" in ran.err
