"""From sources on a real server to files in place: whole sets or nothing, all problems at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.http_shelf import Answer, cut_short_once, serving

from eglb.foundation.errors import InputError
from eglb.scenarios.data_sets import manifest
from eglb.scenarios.data_sets.download import Mirror
from eglb.scenarios.data_sets.fetching import fetch
from eglb.scenarios.data_sets.inspection import WORKSHOP, inspect
from eglb.scenarios.data_sets.manifest import File, Source
from eglb.scenarios.data_sets.sets import BY_NAME, CLUSTER, PINS, POTENTIAL

PAIRS = b"sending_region,receiving_region,milliseconds\nb,a,12\na,b,11\nc,a,40\na,c,38.5\nb,c,7\n"
RTT = b"sending_region,a,b,c\na,,11.0,38.5\nb,12.0,,7.0\nc,40.0,,\n"
PRICES = {name: f",here,there\nhere,0,{name}\n".encode() for name in ("aws", "azure", "gcp")}
PAIRS_PATH = "shared_data/raw_gcp_latency.csv"


class Heard:
    """What a watcher heard."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str, int]] = []
        self.bytes = 0

    def begin(self, name: str, doing: str, size: int) -> None:
        self.begun.append((name, doing, size))

    def more(self, count: int) -> None:
        self.bytes += count


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def price_path(provider: str) -> str:
    return f"data/network_cost/{provider}_transmission_cost_matrix.csv"


def shelf_path(repository: str, path: str) -> str:
    return f"{repository}/{PINS[repository]}/{path}"


@pytest.fixture(autouse=True)
def small_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sets of the real builders, with sources of a few lines."""
    sources = (
        Source("latency", POTENTIAL, PAIRS_PATH, len(PAIRS), sha(PAIRS)),
        *(Source("egress", CLUSTER, price_path(name), len(body), sha(body)) for name, body in PRICES.items()),
    )
    files = (
        File("latency", "latency/gcp_rtt_ms.csv", len(RTT), sha(RTT), (sha(RTT),)),
        *(
            File("egress", f"factors/egress_usd_per_gb_{name}.csv", len(body), sha(body), (sha(body),))
            for name, body in PRICES.items()
        ),
    )
    monkeypatch.setattr(manifest, "sources", lambda: sources)
    monkeypatch.setattr(manifest, "files", lambda: files)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def shelf() -> Iterator[dict[str, Answer]]:
    """What the server has."""
    yield {
        shelf_path(POTENTIAL, PAIRS_PATH): PAIRS,
        **{shelf_path(CLUSTER, price_path(name)): body for name, body in PRICES.items()},
    }


def at(address: str) -> Mirror:
    return Mirror(address, 2.0, (0.01,))


def left(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


BOTH = (BY_NAME["latency"], BY_NAME["egress"])


def test_files_are_built_and_nothing_else_is_left(tmp_path: Path, shelf: dict[str, Answer]) -> None:
    shelf[shelf_path(POTENTIAL, PAIRS_PATH)] = cut_short_once(PAIRS)
    heard = Heard()
    with serving(shelf) as server:
        done = fetch(tmp_path / "new", BOTH, at(server.address), heard)
        asked = len(server.asked)
        again = fetch(tmp_path / "new", BOTH, at(server.address), heard)
        assert len(server.asked) == asked == 5
    assert [(each.data_set.name, each.outcome) for each in done] == [
        ("latency", "fetched"),
        ("egress", "fetched"),
    ]
    assert [each.outcome for each in again] == ["present", "present"]
    assert done[0].source_bytes == len(PAIRS)
    assert (tmp_path / "new" / "latency" / "gcp_rtt_ms.csv").read_bytes() == RTT
    assert all(finding.state == "ok" for finding in inspect(tmp_path / "new"))
    assert len(left(tmp_path)) == 4
    assert heard.bytes == len(PAIRS) + sum(map(len, PRICES.values()))
    assert heard.begun[0] == ("latency", "1 source file", len(PAIRS))


def test_what_is_broken_is_built_anew_and_what_is_not_stays(tmp_path: Path, shelf: dict[str, Answer]) -> None:
    with serving(shelf) as server:
        fetch(tmp_path, BOTH, at(server.address), Heard())
        (tmp_path / "factors" / "egress_usd_per_gb_gcp.csv").write_bytes(b"torn")
        done = fetch(tmp_path, BOTH, at(server.address), Heard())
    assert [each.outcome for each in done] == ["present", "fetched"]
    assert all(finding.state == "ok" for finding in inspect(tmp_path))


def test_every_file_the_server_lacks_is_named_and_other_sets_are_in_place(
    tmp_path: Path, shelf: dict[str, Answer]
) -> None:
    del shelf[shelf_path(CLUSTER, price_path("aws"))]
    shelf[shelf_path(CLUSTER, price_path("gcp"))] = PRICES["aws"]
    with serving(shelf) as server, pytest.raises(InputError) as caught:
        fetch(tmp_path, BOTH, at(server.address), Heard())
    aws, gcp = caught.value.problems
    url = f"{server.address}/{shelf_path(CLUSTER, price_path('aws'))}"
    assert aws == f"egress: {url}: the server answers 404 Not Found"
    assert gcp.endswith(
        f"{price_path('gcp')}: its SHA-256 is another one: it is not the file that was pinned"
    )
    assert [f.file.set_name for f in inspect(tmp_path) if f.fine] == ["latency"]
    # The one good download waits for the next try.
    assert [name for name in left(tmp_path) if name.startswith(WORKSHOP)] == [
        f"{WORKSHOP}/sources/{CLUSTER}/{price_path('azure')}"
    ]
    shelf |= {shelf_path(CLUSTER, price_path(name)): body for name, body in PRICES.items()}
    with serving(shelf) as server:
        fetch(tmp_path, BOTH, at(server.address), Heard())
        assert sorted(server.asked) == [shelf_path(CLUSTER, price_path(name)) for name in ("aws", "gcp")]
    assert len(left(tmp_path)) == 4


def test_without_a_server_it_is_said_once_what_to_do(tmp_path: Path) -> None:
    with serving({}) as server:
        address = server.address
    with pytest.raises(InputError) as caught:
        fetch(tmp_path, BOTH, at(address), Heard())
    (problem,) = caught.value.problems
    assert "Connection refused. Is there a network?" in problem and "--mirror" in problem
    assert left(tmp_path) == []


def test_a_product_that_is_not_the_manifest_s_is_not_kept(
    tmp_path: Path, shelf: dict[str, Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = File("latency", "latency/gcp_rtt_ms.csv", 9, sha(b"a"), (sha(b"a"),))
    monkeypatch.setattr(manifest, "files", lambda: (other,))
    (tmp_path / "latency").mkdir()
    (tmp_path / "latency" / "gcp_rtt_ms.csv").write_bytes(b"before")
    with serving(shelf) as server, pytest.raises(InputError, match="built, but not what the manifest says"):
        fetch(tmp_path, BOTH[:1], at(server.address), Heard())
    assert (tmp_path / "latency" / "gcp_rtt_ms.csv").read_bytes() == b"before"


def test_a_link_out_of_the_folder_is_refused_before_anything_is_asked_for(
    tmp_path: Path, shelf: dict[str, Answer]
) -> None:
    (tmp_path / "outside").mkdir()
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "latency").symlink_to(tmp_path / "outside")
    with serving(shelf) as server:
        with pytest.raises(InputError, match=r"leads out of .* by a link; nothing was fetched"):
            fetch(folder, BOTH, at(server.address), Heard())
        assert server.asked == []
    assert left(tmp_path) == []


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path, shelf: dict[str, Answer]) -> None:
    (tmp_path / "latency").write_text("not a folder")
    with serving(shelf) as server, pytest.raises(InputError, match="latency: cannot be written: File exists"):
        fetch(tmp_path, BOTH[:1], at(server.address), Heard())


def test_a_package_that_is_not_installed_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = File("demand", "demand/countries.csv", 1, sha(b"a"), (sha(b"a"),))
    monkeypatch.setattr(manifest, "files", lambda: (people,))
    monkeypatch.setattr("eglb.scenarios.data_sets.builders.population.GEONAMES", ("no-such-geonames", "9.9"))
    with pytest.raises(InputError, match=r"pip install no-such-geonames==9\.9, and fetch again"):
        fetch(tmp_path, (BY_NAME["demand"],), at("http://127.0.0.1:9"), Heard())
