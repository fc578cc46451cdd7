"""Rehearse `eglb serve` on recorded data: read its table over HTTP, end it, and read its books."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import eglb

FLEET = "synthetic:4x24,seed=2"
# On this machine, so past any proxy that the environment names.
LOCAL = build_opener(ProxyHandler({}))


def get(url: str) -> dict:
    """The JSON that a URL answers with."""
    with LOCAL.open(url, timeout=10) as answer:
        return json.load(answer)


def ready(url: str) -> bool:
    """Whether the service says that it is ready."""
    try:
        return get(url)["ready"]
    except HTTPError:  # 503 until then
        return False


def main() -> None:
    # 1. Start the service on recorded data. An hour takes a second, and port 0 takes a free one.
    command = [sys.executable, "-m", "eglb", "serve", FLEET]
    command += ["--speed", "3600", "--address", "inprocess", "--store", "books.db"]
    service = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # 2. It says where it listens. Go on reading what it says, so that it never waits for us.
        url = next(line.split()[-1] for line in service.stderr if "http://" in line)
        threading.Thread(target=service.stderr.read, daemon=True).start()

        # 3. Wait for the first plan: then /readyz says that requests are routed by a feasible table.
        until = time.monotonic() + 60
        while not ready(f"{url}/readyz"):
            assert time.monotonic() < until, "no plan within a minute"
            time.sleep(0.2)

        # 4. The table: which part of a gateway's requests goes to which region.
        table = get(f"{url}/v1/weights")
        print("GET /v1/weights:", json.dumps(table)[:400])
        gateway = eglb.load(FLEET).gateways[0]
        print("GET /v1/route:", get(f"{url}/v1/route?gateway={gateway}"))
        time.sleep(2)  # two more hours of the rehearsal
    finally:
        # 5. Ctrl-C ends it in order: the slot is closed, the books are kept.
        service.send_signal(signal.SIGINT)
        out, _ = service.communicate(timeout=30)
    # 6. 130 is the exit code of Ctrl-C.
    assert service.returncode in (0, 130), service.returncode
    print("ended with", service.returncode, out.strip()[:200])

    # 7. The books outlive the service: by period, what the meters came to.
    shown = subprocess.run(
        [sys.executable, "-m", "eglb", "books", "show", "books.db", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    books = json.loads(shown.stdout)
    period = books["periods"][0]
    print(f"{period['slots']} slots in the books: {period['energy_mwh']:,.1f} MWh")
    assert period["slots"] >= 1 and period["energy_mwh"] > 0


if __name__ == "__main__":
    main()
