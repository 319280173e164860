"""The ground of the benches: migrated databases of both kinds, a Redis, processes of the program, no leftovers."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from flask import Flask

from tests.conftest import environment_of
from tests.support.databases import (
    FAST,
    ROOT,
    Database,
    PostgresDatabase,
    SqliteDatabase,
    close_session,
    open_session,
    shared,
)
from wisp.core import config
from wisp.core.db import SQLITE_PRAGMAS, db
from wisp.core.embedded_redis import EmbeddedRedis
from wisp.core.process import following
from wisp.factory import create_app

KINDS = ("sqlite", "postgresql")
PATIENCE = 600
"""Seconds after which any process of a bench is given up."""
WORKER = "PYTEST_XDIST_WORKER"
T = TypeVar("T")


@contextmanager
def session() -> Iterator[EmbeddedRedis]:
    """A folder and a Redis for one bench; everything started inside is ended with it."""
    folder = open_session()
    os.environ["WISP_TEST_FOLDER"] = str(folder)
    try:
        with EmbeddedRedis(shared() / "redis") as server:
            yield server
    finally:
        close_session(folder)


class Ground:
    """The application on one database. ``environment`` is that of its processes."""

    def __init__(self, kind: str, server: EmbeddedRedis) -> None:
        self.kind = kind
        self.redis = server
        self.database: Database = SqliteDatabase() if kind == "sqlite" else PostgresDatabase()
        self.database.fresh()
        server.client().flushdb()
        settings = environment_of(self.database, server)
        self.environment = {**os.environ, **settings, "FLASK_APP": "app.py"}
        self.app: Flask = create_app(config.load(settings))

    def leave(self) -> None:
        """Close every connection of this process to the database."""
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()

    def settle(self) -> None:
        """What time does to a database: its statistics are right and nothing waits to be written out."""
        self.leave()
        with self.connection() as connection:
            if self.kind == "sqlite":
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            else:
                connection.execute("VACUUM ANALYZE")
                connection.execute("CHECKPOINT")

    def keep(self) -> None:
        """Settle, and remember the database as it is for ``restore``."""
        self.settle()
        if isinstance(self.database, SqliteDatabase):
            shutil.copyfile(self.database.file, f"{self.database.file}.kept")
        else:
            self._clone(self.database.name, "kept")

    def restore(self) -> None:
        """Put back the database that was kept."""
        self.leave()
        if isinstance(self.database, SqliteDatabase):
            self.database.empty()
            shutil.copyfile(f"{self.database.file}.kept", self.database.file)
        else:
            self._clone("kept", self.database.name)
            with self.connection() as connection:
                connection.execute("CHECKPOINT")

    def _clone(self, source: str, target: str) -> None:
        assert isinstance(self.database, PostgresDatabase)
        self.database._admin(
            f"DROP DATABASE IF EXISTS {target} WITH (FORCE)",
            f"CREATE DATABASE {target} TEMPLATE {source} STRATEGY file_copy",
        )

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """A bare connection of the driver in autocommit, as the program sets it up."""
        if isinstance(self.database, SqliteDatabase):
            lite = sqlite3.connect(self.database.file, isolation_level=None)
            for pragma in SQLITE_PRAGMAS:
                lite.execute("PRAGMA " + pragma)
            try:
                yield lite
            finally:
                lite.close()
        else:
            with psycopg.connect(self.database.url.replace("+psycopg", "", 1), autocommit=True) as connection:
                yield connection

    def child(self, module: str, *arguments: object, **environment: str) -> Any:
        """Run ``python -m module arguments`` to its end; the JSON document that it prints."""
        ended = self.start(module, *arguments, **environment)
        out, _ = ended.communicate(timeout=PATIENCE)
        if ended.returncode:
            raise RuntimeError(f"{module} {arguments} ended with {ended.returncode}")
        return json.loads(out)

    def start(
        self, module: str, *arguments: object, quiet: bool = False, **environment: str
    ) -> "subprocess.Popen[str]":
        """Start ``python -m module arguments``, which ends with this process at the latest. ``quiet``: nobody reads
        what it prints."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if quiet else subprocess.PIPE,
            text=True,
            preexec_fn=following(signal.SIGKILL),
        )


@contextmanager
def ground(kind: str, server: EmbeddedRedis, *, durable: bool = True, name: str = "main") -> Iterator[Ground]:
    """The application on a fresh migrated database, ``sqlite`` or ``postgresql``. ``durable``: it waits for the disk as
    in production. Two grounds at the same time need different names."""
    before = os.environ.get(WORKER)
    os.environ[WORKER] = name  # what databases and data folders are named by
    try:
        made = Ground(kind, server)
    finally:
        if before is None:
            del os.environ[WORKER]
        else:
            os.environ[WORKER] = before
    if kind == "postgresql":
        with made.connection() as connection:
            for setting in FAST:
                wanted = f"RESET {setting}" if durable else f"SET {setting} = off"
                connection.execute(f"ALTER SYSTEM {wanted}")
            connection.execute("SELECT pg_reload_conf()")
    try:
        yield made
    finally:
        made.leave()


@contextmanager
def running(*processes: "subprocess.Popen[str]") -> Iterator[None]:
    """End these processes with the block: asked first, then killed."""
    try:
        yield
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            try:
                process.communicate(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def until(what: Callable[[], T], seconds: float = PATIENCE, pause: float = 0.01) -> T:
    """Wait until ``what()`` is true and return it; TimeoutError after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s in vain")
        time.sleep(pause)


def in_program(work: Callable[[], Mapping[str, Any]]) -> None:
    """In a child: run ``work`` in the application of this environment and print what it returns."""
    app = create_app()
    with app.app_context():
        print(json.dumps(dict(work())), flush=True)


def peak_memory() -> float:
    """The most memory that this process ever had, in MB. Not getrusage: it counts the parent's before the exec."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/self/status")
