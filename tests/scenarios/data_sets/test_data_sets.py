"""The manifest of the data directory, what is said of each set, and whether a folder is as it says."""

from __future__ import annotations

import gzip
import importlib
import re
import shutil
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eglb.foundation.errors import InputError
from eglb.scenarios.catalog import MEASURED
from eglb.scenarios.data_sets import manifest
from eglb.scenarios.data_sets.inspection import inspect, present, unknown
from eglb.scenarios.data_sets.manifest import content_sha256
from eglb.scenarios.data_sets.sets import BY_NAME, PINS, SETS, chosen, scenarios, with_needs
from eglb.scenarios.worlds import demand, population


def test_every_path_stays_inside_and_every_hash_is_one() -> None:
    assert manifest.files() and manifest.sources()
    for entry in (*manifest.files(), *manifest.sources()):
        path = PurePosixPath(entry.path)
        assert not path.is_absolute() and ".." not in path.parts and "\\" not in entry.path
        assert re.fullmatch("[0-9a-f]{64}", entry.sha256)
        assert entry.size > 0 and entry.set_name in BY_NAME
    assert len({file.path for file in manifest.files()}) == len(manifest.files())


def test_sources_are_pinned_at_whole_commits_and_a_file_has_one_hash() -> None:
    assert all(re.fullmatch("[0-9a-f]{40}", commit) for commit in PINS.values())
    hashes: dict[tuple[str, str], str] = {}
    for source in manifest.sources():
        assert source.repository in BY_NAME[source.set_name].repositories
        assert hashes.setdefault((source.repository, source.path), source.sha256) == source.sha256


def test_every_set_can_be_built_or_says_why_not_and_what_its_licence_asks_for() -> None:
    with_sources = {source.set_name for source in manifest.sources()}
    read = {name for needed in scenarios().values() for name in needed}
    for each in SETS:
        assert any(file.set_name == each.name for file in manifest.files())
        assert (each.name in with_sources) == bool(each.repositories)
        assert bool(each.by_hand) == (each.builder is None)
        assert each.builder is None or each.repositories or each.package
        assert each.title and each.licence and (each.attribution or each.name not in read)


def test_scenarios_are_read_from_what_their_worlds_read() -> None:
    belongs = {file.path: file.set_name for file in manifest.files()}
    for name in MEASURED:
        world = importlib.import_module(f"eglb.scenarios.worlds.{name}").WORLD
        read = {belongs[path] for path in (*world.files, *population.FILES, demand.SERVICES)}
        assert set(scenarios()[name]) == read
        assert all(BY_NAME[each].builder for each in read)
    assert scenarios()["paper10"] == scenarios()["paper10-partial"] == ("paper10",)
    assert scenarios().keys() == {"paper10", "paper10-partial", *MEASURED}


def test_a_name_is_a_set_or_a_scenario_and_needs_come_first() -> None:
    assert chosen(["latency", "paper10-partial"]) == (BY_NAME["paper10"], BY_NAME["latency"])
    assert chosen([]) == SETS
    assert [each.name for each in with_needs([BY_NAME["zones123"]])] == ["prices22", "zones123"]
    with pytest.raises(InputError) as caught:
        chosen(["latncy", "moon"])
    assert "latncy: neither" in caught.value.problems[0] and "latency" in caught.value.problems[0]
    assert "moon: neither" in caught.value.problems[1]


def test_content_is_that_of_what_is_packed(tmp_path: Path) -> None:
    plain, quick, small = (tmp_path / name for name in ("t.csv", "quick.csv.gz", "small.csv.gz"))
    text = "".join(f"{i},{i * i}\n" for i in range(1000)).encode()
    plain.write_bytes(text)
    quick.write_bytes(gzip.compress(text, 1))
    small.write_bytes(gzip.compress(text, 9))
    assert quick.read_bytes() != small.read_bytes()
    assert content_sha256(plain) == content_sha256(quick) == content_sha256(small)
    small.write_bytes(small.read_bytes()[:-20])
    with pytest.raises(OSError):
        content_sha256(small)


def test_content_of_a_parquet_table_is_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    values = np.array([1.0, np.nan, 3.0], np.float32)
    times = np.array(["2022-01-01T00", "2022-01-01T01", "2022-01-01T02"], "datetime64[us]")
    zones = pa.DictionaryArray.from_arrays(np.array([0, 1, 0], np.int8), ["a", "b"])

    def content(table: dict[str, object], **how: object) -> str:
        pq.write_table(pa.table(table), path, **how)
        return content_sha256(path)

    table = {"time": times, "zone": zones, "price": values}
    first = content(table, compression="zstd")
    assert content(table, compression="snappy", row_group_size=1) == first
    assert content(table | {"price": pa.array([1.0, None, 3.0], pa.float32())}) == first
    others = [
        table | {"price": np.nextafter(values, np.float32(9))},
        table | {"price": values.astype(float)},
        table | {"time": times + np.timedelta64(1, "us")},
        table | {"zone": pa.DictionaryArray.from_arrays(np.array([0, 1, 1], np.int8), ["a", "b"])},
        {"time": times, "zone": zones, "prices": values},
        {"zone": zones, "time": times, "price": values},
    ]
    assert len({first, *(content(other) for other in others)}) == len(others) + 1


def test_missing_wrong_damaged_and_unknown_files_are_told_apart(tmp_path: Path) -> None:
    rtt, mix = tmp_path / "latency" / "gcp_rtt_ms.csv", tmp_path / "us_ba_2022" / "us_ba_fuelmix_2022.csv.gz"
    for path in (rtt, mix):
        path.parent.mkdir()
    rtt.write_bytes(b"x" * 7379)  # as long as the right one
    mix.write_bytes(b"\x1f\x8b no gzip")
    (tmp_path / "README.md").write_text("notes")
    (tmp_path / "latency" / "mine.csv").write_text("1")
    found = {f.file.path: f for f in inspect(tmp_path)}
    assert found["latency/gcp_rtt_ms.csv"].state == "differs"
    assert found["latency/gcp_rtt_ms.csv"].detail == "its SHA-256 is another one"
    damaged = found["us_ba_2022/us_ba_fuelmix_2022.csv.gz"]
    assert damaged.state == "differs" and damaged.detail.startswith(
        "10 bytes instead of 1,536,667; damaged: "
    )
    assert sum(f.state == "missing" for f in found.values()) == len(manifest.files()) - 2
    assert unknown(tmp_path) == ["latency/mine.csv"]
    assert sum(present(tmp_path).values()) == 2


def test_the_data_directory_is_whole_and_one_flipped_byte_is_found(
    data_directory: Path, tmp_path: Path
) -> None:
    assert [f for f in inspect(data_directory) if not f.fine] == []
    for file in manifest.files():
        if file.set_name in ("latency", "prices22", "llm_requests"):
            path = tmp_path / file.path
            path.parent.mkdir(exist_ok=True)
            shutil.copyfile(data_directory / file.path, path)
    sets = {"latency", "prices22", "llm_requests"}
    assert all(f.state == "ok" for f in inspect(tmp_path, sets))
    for name in ("latency/gcp_rtt_ms.csv", "llm/mooncake_conversation.csv.gz"):
        path = tmp_path / name
        bytes_ = bytearray(path.read_bytes())
        bytes_[len(bytes_) // 2] ^= 1
        path.write_bytes(bytes_)
    wrong = [f.file.path for f in inspect(tmp_path, sets) if not f.fine]
    assert wrong == ["llm/mooncake_conversation.csv.gz", "latency/gcp_rtt_ms.csv"]
    # Packed anew it says the same.
    text = gzip.decompress((data_directory / "llm" / "mooncake_conversation.csv.gz").read_bytes())
    (tmp_path / "llm" / "mooncake_conversation.csv.gz").write_bytes(gzip.compress(text, 1))
    assert [f.state for f in inspect(tmp_path, {"llm_requests"})] == ["ok", "ok", "repacked"]
