"""Who may write, what may be read by whom, and how little one client can do to the others."""

from __future__ import annotations

import json
import pickle
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from support.service_states import HTTP, TOKEN, wait_for, world10_desk

from eglb.live.http import server as server_module
from eglb.live.http.api import make_app
from eglb.live.http.middleware import HEADERS, LOOPBACK, AuthMiddleware
from eglb.live.http.server import names_of, serving
from eglb.live.storage.store import Store

WRITER = {"authorization": f"Bearer {TOKEN}"}
DOWN = {"region": "tokyo", "healthy": False}
Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves an application of given options; its URL."""
    with ExitStack() as stack:

        def start(**options: Any) -> str:
            app = make_app(options.pop("service_state", None) or world10_desk(), **options)
            return stack.enter_context(serving(app, "127.0.0.1", 0))

        yield start


def raw(url: str, *pieces: bytes, pause: float = 0.0) -> bytes:
    """What is answered to these bytes until the other side hangs up or falls silent for five seconds."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 5.0) as connection:
        answer = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            while got := connection.recv(1 << 16):
                answer += got
        except (BrokenPipeError, ConnectionResetError):
            pass
    return answer


class TestToken:
    @pytest.mark.parametrize(
        "header",
        [
            None,
            "",
            "Bearer",
            "Bearer wrong",
            f"Bearer {TOKEN}x",
            f"Bearer {TOKEN[:-1]}",
            f"Basic {TOKEN}",
            TOKEN,
            "Bearer \xff",
        ],
    )
    def test_nothing_is_written_without_it(self, serve: Serve, header: str | None) -> None:
        service_state = world10_desk()
        url = serve(service_state=service_state, token=TOKEN)
        headers = {} if header is None else {"authorization": header.encode("latin-1")}
        for path, method in product(("/v1/health", "/v1/meter", "/", "/nowhere"), ("POST", "PUT", "DELETE")):
            answer = HTTP.request(method, url + path, json=DOWN, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in answer.text
        assert not service_state.router.down()

    def test_with_it_things_are_written(self, serve: Serve) -> None:
        service_state = world10_desk()
        url = serve(service_state=service_state, token=TOKEN)
        for scheme in ("Bearer", "bearer", "BEARER"):
            answer = HTTP.post(f"{url}/v1/health", json=DOWN, headers={"authorization": f"{scheme} {TOKEN}"})
            assert answer.status_code == 200
        assert service_state.router.down() == {"tokyo": ""}
        assert HTTP.delete(f"{url}/v1/health", headers=WRITER).status_code == 405
        assert HTTP.post(f"{url}/v1/weights", headers=WRITER).status_code == 405

    def test_without_one_the_service_takes_nothing_and_says_how_it_would(self, serve: Serve) -> None:
        service_state = world10_desk()
        answer = HTTP.post(f"{serve(service_state=service_state)}/v1/health", json=DOWN, headers=WRITER)
        assert answer.status_code == 403
        assert "--token-env" in answer.json()["detail"]
        assert not service_state.router.down()

    def test_an_empty_one_is_no_token(self) -> None:
        with pytest.raises(ValueError, match="anybody could write"):
            make_app(world10_desk(), token="")


class TestBodies:
    def test_that_are_too_long_are_refused_unread(self, serve: Serve) -> None:
        url, head = (
            serve(token=TOKEN),
            f"POST /v1/meter HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\n",
        )
        declared = raw(url, f"{head}content-length: {1 << 40}\r\n\r\n".encode())
        assert declared.startswith(b"HTTP/1.1 413 ")
        piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        endless = raw(url, f"{head}transfer-encoding: chunked\r\n\r\n".encode(), *[piece] * 20)
        assert endless.startswith(b"HTTP/1.1 413 ") or endless == b""
        assert HTTP.get(f"{url}/healthz").status_code == 200

    def test_that_come_too_slowly_are_not_waited_for(self) -> None:
        guard = AuthMiddleware(make_app(world10_desk(), token=TOKEN), TOKEN, None, body_within=0.3)
        with serving(guard, "127.0.0.1", 0) as url:
            head = f"POST /v1/meter HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\n"
            begun = time.monotonic()
            assert raw(url, f"{head}content-length: 9\r\n\r\n{{".encode()).startswith(b"HTTP/1.1 408 ")
            assert time.monotonic() - begun < 4.0

    def test_pickles_and_forms_are_no_json(self, serve: Serve, tmp_path: Path) -> None:
        class Burglar:
            def __reduce__(self) -> Any:
                return Path.touch, (tmp_path / "was here",)

        url = serve(token=TOKEN)
        for kind in ("application/octet-stream", "application/json", "application/x-python-pickle"):
            headers = {**WRITER, "content-type": kind}
            answer = HTTP.post(f"{url}/v1/meter", content=pickle.dumps(Burglar()), headers=headers)
            assert answer.status_code in (400, 422)
        assert HTTP.post(f"{url}/v1/health", data={"region": "tokyo"}, headers=WRITER).status_code == 422
        assert not (tmp_path / "was here").exists()


class TestHeads:
    def test_that_come_too_slowly_are_not_waited_for(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server_module, "_HEAD_S", 0.3)
        monkeypatch.setattr(server_module, "_LOOK_EVERY_S", 0.1)
        url = serve()
        for said in (b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nhost: a\r\nx-"):
            begun = time.monotonic()
            assert raw(url, said) == b""
            assert time.monotonic() - begun < 4.0
        slowly = [bytes([each]) for each in b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"]
        assert raw(url, *slowly, pause=0.05) == b""
        assert HTTP.get(f"{url}/healthz").status_code == 200

    def test_without_end_are_not_read_to_the_end(self, serve: Serve) -> None:
        url = serve()
        for begin in (b"GET /", b"GET / HTTP/1.1\r\nx: "):
            sent = 0
            host, port = url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), 5.0) as connection:
                connection.sendall(begin)
                with pytest.raises((BrokenPipeError, ConnectionResetError)):
                    while sent < 64 << 20:
                        sent += connection.send(b"a" * 65536)
        assert HTTP.get(f"{url}/healthz").status_code == 200

    @pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
    def test_that_are_none_are_refused(self, serve: Serve, said: bytes) -> None:
        assert raw(serve(), said).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 421 "))


EVERYWHERE = (
    "/v1/route?gateway=gw-tokyo",
    "/v1/route?session=a&gateway=gw-tokyo",
    "/v1/route",
    "/v1/weights",
    "/v1/plan",
    "/v1/state",
    "/v1/events",
    "/v1/jobs",
    "/v1/explain?region=tokyo",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/",
    "/nowhere",
)


class TestBrowsers:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
    def test_are_told_what_they_must_not_do_by_every_answer(self, serve: Serve, method: str) -> None:
        url = serve(token=TOKEN)
        for path in EVERYWHERE:
            told = HTTP.request(method, url + path).headers
            for name, value in HEADERS:
                wanted = "no-cache" if path == "/v1/weights" and method != "POST" else value.decode()
                assert told[name.decode()] == (wanted if name == b"cache-control" else value.decode()), path
            assert "access-control-allow-origin" not in told
            assert "server" not in told
        policy = dict(HEADERS)[b"content-security-policy"]
        assert b"unsafe" not in policy
        assert b"frame-ancestors 'none'" in policy

    def test_of_other_pages_read_weights_only_where_that_is_wanted(self, serve: Serve) -> None:
        url = serve(weights_origins=("https://ops.example",))
        theirs, strange = {"origin": "https://ops.example"}, {"origin": "https://evil.example"}
        allowed = HTTP.get(f"{url}/v1/weights", headers=theirs)
        assert allowed.headers["access-control-allow-origin"] == "https://ops.example"
        assert allowed.headers["access-control-expose-headers"] == "ETag"
        asks = {"access-control-request-method": "GET", "access-control-request-headers": "if-none-match"}
        assert HTTP.options(f"{url}/v1/weights", headers=theirs | asks).status_code == 200
        asks["access-control-request-method"] = "POST"
        assert HTTP.options(f"{url}/v1/weights", headers=theirs | asks).status_code == 400
        assert "access-control-allow-origin" not in HTTP.get(f"{url}/v1/weights", headers=strange).headers
        for path in EVERYWHERE:
            if path != "/v1/weights":
                assert "access-control-allow-origin" not in HTTP.get(url + path, headers=theirs).headers

    def test_cannot_be_led_to_a_service_on_loopback_by_another_name(self, serve: Serve) -> None:
        url = serve(token=TOKEN, hosts=LOOPBACK)
        port = url.rpartition(":")[2]
        for name in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "", "localhost:80:80"):
            for path in EVERYWHERE:
                assert HTTP.get(url + path, headers={"host": name}).status_code == 421, (name, path)
            answer = HTTP.post(f"{url}/v1/health", json=DOWN, headers={**WRITER, "host": name})
            assert answer.status_code == 421
        for name in (f"localhost:{port}", "LOCALHOST", "127.0.0.1", f"[::1]:{port}"):
            assert HTTP.get(f"{url}/v1/weights", headers={"host": name}).status_code == 200

    def test_names_are_checked_on_loopback_alone(self) -> None:
        assert names_of("127.0.0.1") == names_of("::1") == names_of("localhost") == LOOPBACK
        assert names_of("0.0.0.0") is names_of("::") is names_of("10.0.0.1") is names_of("a.example") is None


class TestReading:
    def test_head_is_a_get_without_the_body(self, serve: Serve) -> None:
        url = serve()
        for path in ("/v1/route?gateway=gw-tokyo", "/v1/weights", "/healthz", "/nowhere"):
            get, head = HTTP.get(url + path), HTTP.head(url + path)
            assert (head.status_code, head.content) == (get.status_code, b"")
            assert head.headers["content-type"] == get.headers["content-type"]

    @pytest.mark.parametrize(
        "path",
        [
            "/../pyproject.toml",
            "/..%2f..%2fpyproject.toml",
            "/%2e%2e/%2e%2e/pyproject.toml",
            "//etc/passwd",
            "/....//etc/passwd",
            "/..\\..\\pyproject.toml",
            "/dashboard/../../pyproject.toml",
            "/%00",
            "/index.html%00.css",
            "/api.py",
            "/docs",
            "/redoc",
        ],
    )
    def test_no_path_leads_to_other_files(self, serve: Serve, path: str) -> None:
        answer = raw(serve(), f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 404 ")

    def test_what_the_world_may_see_is_routes_and_weights(self, serve: Serve, tmp_path: Path) -> None:
        service_state = world10_desk(store=Store(tmp_path / "store.db"))
        url = serve(service_state=service_state, token=TOKEN, read_only=True)
        service_state.router.mark("tokyo", False, "actor at 10.0.0.7 died")
        paths = HTTP.get(f"{url}/openapi.json").json()["paths"]
        assert paths.keys() == {"/v1/route", "/v1/weights", "/healthz", "/readyz"}
        assert all(methods.keys() == {"get"} for methods in paths.values())
        for path in EVERYWHERE:
            shown = path.partition("?")[0] in {*paths, "/openapi.json"}
            answer = HTTP.get(url + path)
            assert (answer.status_code != 404) == shown
            assert "10.0.0.7" not in answer.text
        for path in ("/v1/health", "/v1/meter", "/v1/weights"):
            assert HTTP.post(url + path, json=DOWN, headers=WRITER).status_code in (404, 405)
        assert service_state.store is not None
        service_state.store.close()

    def test_a_failure_inside_tells_nothing_of_itself(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service_state = world10_desk()

        def fail() -> None:
            raise RuntimeError("secret")

        monkeypatch.setattr(service_state, "plan", fail)
        answer = HTTP.get(f"{serve(service_state=service_state)}/v1/plan")
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"


@contextmanager
def connections(url: str, count: int) -> Iterator[None]:
    host, port = url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection((host, int(port)), 5.0))
        yield


def test_beyond_so_many_connections_requests_are_turned_away(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MOST_CONNECTIONS", 20)
    url = serve()

    def status() -> int:
        return HTTP.get(f"{url}/healthz").status_code

    with connections(url, 20):
        wait_for(lambda: status() == 503)
    wait_for(lambda: status() == 200)


def test_names_that_are_no_text_come_back_escaped(serve: Serve) -> None:
    body = json.dumps({"region": "\ud800<script>", "healthy": True}).encode()
    headers = {**WRITER, "content-type": "application/json"}
    answer = HTTP.post(f"{serve(token=TOKEN)}/v1/health", content=body, headers=headers)
    assert answer.status_code in (404, 422)
    assert answer.content.isascii()
