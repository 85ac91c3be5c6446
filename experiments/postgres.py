"""A PostgreSQL server of one's own: Debian's package, a fresh cluster in a temporary folder, on loopback.

For the tests and for `two_workers.py`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, PASSWORD = "tobs", "s3cret/@"
QUOTED = "s3cret%2F%40"


def programs() -> Path | None:
    """The folder of the newest installed server's programs, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    if not found and (config := shutil.which("pg_config")):
        told = subprocess.run([config, "--bindir"], check=True, capture_output=True, text=True).stdout.strip()
        found = [file for file in [Path(told, "initdb")] if file.exists()]
    return found[-1].parent if found else None


def missing() -> str:
    """Why there can be no server, or nothing."""
    if programs() is None:
        return "PostgreSQL is not installed: apt-get install postgresql"
    if os.geteuid() == 0 and not _postgres():
        return "root cannot run PostgreSQL, and there is no user postgres"
    return ""


def _postgres() -> bool:
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        return False
    return True


class Cluster:
    """A running server; `url` leads to its database."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self.url = f"postgresql://{USER}:{QUOTED}@127.0.0.1:{port}/postgres"

    def run(self, program: str, *words: str) -> None:
        """Run one of its programs, as a user who may."""
        found = programs()
        assert found is not None
        as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*as_postgres, str(found / program), *words]
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=self._folder)

    def start(self) -> None:
        """Start it and wait until it answers."""
        words = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off"
        log = str(self._folder / "log")
        self.run("pg_ctl", "start", "-w", "-D", str(self._folder / "data"), "-l", log, "-o", words)

    def stop(self) -> None:
        """Stop it; whoever is connected is cut off."""
        self.run("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self._folder / "data"))


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A server for the block; nothing of it is left behind."""
    folder = Path(tempfile.mkdtemp(prefix="tobs-postgres-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    made = Cluster(folder, port)
    secret = folder / "password"
    secret.write_text(PASSWORD + "\n")
    if os.geteuid() == 0:
        for path in (folder, secret):
            shutil.chown(path, "postgres")
    try:
        words = ["--no-sync", "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}", "-D", str(folder / "data")]
        made.run("initdb", *words)
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder)
