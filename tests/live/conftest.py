"""What several of these tests start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.postgres_server import PostgresServer, programs

from eglb.live.storage.store import Store


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    if programs() is None:
        pytest.skip("no PostgreSQL server is installed")
    server = PostgresServer(tmp_path_factory.mktemp("pg"))
    yield server
    server.stop()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new one, in a file."""
    books = Store(tmp_path / "books.db")
    yield books
    books.close()


@pytest.fixture(params=["sqlite", "postgres"])
def each_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty one, of every kind there is."""
    if request.param == "postgres":
        made = Store(request.getfixturevalue("postgres").url)
        made.prune(np.datetime64("2100-01-01T00:00:00"))
    else:
        made = Store(tmp_path / "store.db")
    yield made
    made.close()
