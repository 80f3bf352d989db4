"""A real PostgreSQL server on loopback, with a password and a data folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

PASSWORD = "bí-mật-và-dài"


def find(program: str) -> str:
    """Return the path of a program of PostgreSQL, or "" if there is none; Debian keeps them off PATH."""
    inside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return shutil.which(program) or (str(inside[-1]) if inside else "")


class Server:
    """A server that a test can stop and start; ``database`` returns the address of an empty schema."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="vner-pg-"))
        # The server refuses to run as root.
        self._as: dict[str, object] = {}
        if os.geteuid() == 0:
            self._as = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(self.root, "postgres", "postgres")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._made = 0

    def __enter__(self) -> Self:
        words = self.root / "password"
        words.write_text(PASSWORD, encoding="utf-8")
        words.chmod(0o644)
        self._call("initdb", "-D", self.root / "data", "-U", "vner", "--pwfile", words, "-A", "scram-sha-256",
                   "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")  # fmt: skip
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        options = f"-p {self.port} -k {self.root} -c listen_addresses=127.0.0.1 -c shared_buffers=16MB -c fsync=off"
        self._call("pg_ctl", "start", "-w", "-D", self.root / "data", "-l", self.root / "log", "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; ``immediate`` leaves the files as a power failure does."""
        self._call("pg_ctl", "stop", "-w", "-D", self.root / "data", "-m", mode)

    def database(self) -> str:
        """Create an empty schema and return its address, without the password; faster than a database."""
        self._made += 1
        with psycopg.connect(self.address("postgres"), password=PASSWORD, autocommit=True) as db:
            db.execute(f"CREATE SCHEMA t{self._made}")
        return f"{self.address('postgres')}?options=-csearch_path%3Dt{self._made}"

    def latin(self) -> str:
        """Create a database that cannot hold Vietnamese, and return its address."""
        with psycopg.connect(self.address("postgres"), password=PASSWORD, autocommit=True) as db:
            db.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
        return self.address("latin")

    def address(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://vner@127.0.0.1:{self.port}/{database}"

    def _call(self, program: str, *arguments: object) -> None:
        # The server inherits stdout and keeps it open: with a pipe, run() would wait for it.
        subprocess.run([find(program), *map(str, arguments)], check=True, cwd=self.root, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._as)  # type: ignore[call-overload]  # fmt: skip
