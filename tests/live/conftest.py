"""What several of these tests start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from postgres_server import PostgresServer, programs


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    if programs() is None:
        pytest.skip("no PostgreSQL server is installed")
    server = PostgresServer(tmp_path_factory.mktemp("pg"))
    yield server
    server.stop()
