"""A headless Chromium, spoken to over a pipe: what a page says, how it looks, and whom it asks."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)


class Page:
    """One page; `complaints` are what its console and its log had to say, and requests that left the file.

    Parameters
    ----------
    origin : that the page is served from and may ask; None is a file, without a network.
    """

    def __init__(self, to_browser: IO[bytes], from_browser: IO[bytes], origin: str | None) -> None:
        self._out, self._in = to_browser, from_browser
        self._own = ("file:", "data:", "about:", "blob:", *([] if origin is None else [f"{origin}/"]))
        self._count = 0
        self._session: str | None = None
        self.complaints: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        if origin is None:
            no_network = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
            self.ask("Network.emulateNetworkConditions", **no_network)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the DevTools protocol and its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            said = self._read()
            if said.get("id") == self._count:
                assert "error" not in said, said
                return said["result"]
            self._note(said)

    def _read(self) -> dict[str, Any]:
        heard = bytearray()
        while (byte := self._in.read(1)) != b"\0":
            assert byte, "the browser has gone"
            heard += byte
        return json.loads(heard)

    def _note(self, said: dict[str, Any]) -> None:
        told = said.get("params", {})
        if said.get("method") == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
            self.complaints.append(str([item.get("value", item.get("description")) for item in told["args"]]))
        elif said.get("method") == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.complaints.append(str(details.get("exception", {}).get("description", details["text"])))
        elif said.get("method") == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])
        elif said.get("method") == "Network.requestWillBeSent":
            url = told["request"]["url"]
            if not url.startswith(self._own):
                self.complaints.append(f"asked for {url}")

    def value(self, expression: str) -> Any:
        """What `expression` is in the page; a promise is waited for."""
        found = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def look(self, width: int, scheme: str, height: int = 900, mobile: bool = False) -> None:
        """A window of this width, in the ``light`` or ``dark`` scheme."""
        window = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.ask("Emulation.setDeviceMetricsOverride", **window)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, page: Path | str) -> None:
        """Load a file or an address and wait until it is there."""
        self.ask("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        ready = "document.readyState === 'complete' ? done() : addEventListener('load', done)"
        self.value(f"new Promise(done => {ready})")

    def picture(self) -> bytes:
        """The whole page as PNG."""
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])


@contextmanager
def browser(origin: str | None = None) -> Iterator[Page]:
    """A page in a browser of its own, ended afterwards; `origin` as for `Page`."""
    assert CHROMIUM is not None
    profile = tempfile.mkdtemp(prefix="eglb-browser-")
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    process = subprocess.Popen(
        # The protocol reads from 3 and writes to 4.
        [
            "bash",
            "-c",
            f'exec "$0" "$@" 3<&{to_read} 4>&{from_write}',
            CHROMIUM,
            *FLAGS,
            f"--user-data-dir={profile}",
        ],
        pass_fds=(to_read, from_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(to_read)
    os.close(from_write)
    try:
        with os.fdopen(to_write, "wb", buffering=0) as out, os.fdopen(from_read, "rb") as heard:
            yield Page(out, heard, origin)
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(profile, ignore_errors=True)
