"""A PostgreSQL server of one's own, that can be crashed."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

_QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def programs() -> Path | None:
    """The folder of the newest one that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class PostgresServer:
    """In `folder`, reached through a socket there; `url` of its database."""

    def __init__(self, folder: Path) -> None:
        found = programs()
        assert found is not None
        self._programs, self._folder = found, folder
        self._run_as: list[str] = []
        if getpass.getuser() == "root":  # which it refuses to run as
            shutil.chown(folder, "postgres")
            for parent in folder.parents:
                if parent.stat().st_uid == os.getuid() and parent != Path("/tmp"):
                    parent.chmod(parent.stat().st_mode | 0o111)
            self._run_as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self.url = f"postgresql://eglb@/postgres?host={folder}"
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "eglb", "--no-sync")
        self.start()

    def database(self, name: str) -> str:
        """The URL of a new one."""
        self._run("createdb", "-h", str(self._folder), "-U", "eglb", name)
        return self.url.replace("/postgres?", f"/{name}?")

    def start(self) -> None:
        folder = self._folder
        command = [str(self._programs / "postgres"), "-D", str(folder / "data"), "-k", str(folder), "-h", ""]
        self._server = subprocess.Popen([*self._run_as, *command], **_QUIET)
        # After a crash it refuses to start while one of its processes is still there.
        ready = [str(self._programs / "pg_isready"), "-h", str(folder), "-U", "eglb", "-d", "postgres"]
        for _ in range(400):
            if subprocess.run(ready, check=False, **_QUIET).returncode == 0:
                return
            if self._server.poll() is not None:
                self._server = subprocess.Popen([*self._run_as, *command], **_QUIET)
            threading.Event().wait(0.05)
        raise RuntimeError("PostgreSQL does not answer")

    def stop(self, crash: bool = False) -> None:
        """End it; in a crash nothing is written any more."""
        self._server.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
        self._server.wait(20)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([*self._run_as, str(self._programs / program), *arguments], check=True, **_QUIET)
