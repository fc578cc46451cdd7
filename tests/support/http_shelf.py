"""A real HTTP server in a thread, which hands out files as a good host does, or misbehaves as it is told."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote

Answer = bytes | Callable[[BaseHTTPRequestHandler, int], None]


class Shelf(ThreadingHTTPServer):
    """Files by path; `asked` lists the paths asked for, in order. A callable gets handler and try."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64  # so many may come at once

    def __init__(self, files: dict[str, Answer]) -> None:
        self.files = files
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Shelf

    def do_GET(self) -> None:
        path = unquote(self.path).lstrip("/")
        self.server.asked.append(path)
        answer = self.server.files.get(path)
        if answer is None:
            self.send_error(404)
        elif callable(answer):
            answer(self, self.server.asked.count(path))
        else:
            send(self, answer)

    def log_message(self, *arguments: object) -> None:
        pass


def send(handler: BaseHTTPRequestHandler, body: bytes, packed: bool = False, lacking: int = 0) -> None:
    """A good answer, less its last bytes if some are to be `lacking`."""
    handler.send_response(200)
    if packed:
        assert handler.headers["Accept-Encoding"] == "gzip"
        body = gzip.compress(body)
        handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) - lacking])


def cut_short_once(body: bytes, packed: bool = False) -> Answer:
    """The first answer ends halfway."""

    def answer(handler: BaseHTTPRequestHandler, attempt: int) -> None:
        send(handler, body, packed, lacking=len(body) // 2 if attempt == 1 else 0)

    return answer


def busy_once(body: bytes) -> Answer:
    """The first answer is 503."""

    def answer(handler: BaseHTTPRequestHandler, attempt: int) -> None:
        handler.send_error(503) if attempt == 1 else send(handler, body)

    return answer


def silent(seconds: float) -> Answer:
    """Says nothing for so long."""

    def answer(handler: BaseHTTPRequestHandler, attempt: int) -> None:
        time.sleep(seconds)

    return answer


@contextmanager
def serving(files: dict[str, Answer]) -> Iterator[Shelf]:
    """The server, while inside."""
    with Shelf(files) as shelf:
        thread = Thread(target=shelf.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield shelf
        finally:
            shelf.shutdown()
            thread.join()
