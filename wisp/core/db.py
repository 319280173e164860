"""The database: declarative base, column types, and the only place where a transaction begins and commits.

SQLite (WAL) and PostgreSQL are both first-class. Outside ``transaction()`` a session only reads; a flush or a
bulk statement there raises. On SQLite a transaction is BEGIN IMMEDIATE: a reader that turns writer half-way
would fail at once with SQLITE_BUSY_SNAPSHOT, whatever the busy timeout.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import repeat
from select import POLLIN, poll
from time import monotonic, sleep
from typing import Annotated, Any, TypeAlias, TypeVar, cast

from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Engine,
    FromClause,
    MetaData,
    Select,
    Table,
    Update,
    bindparam,
    column,
    event,
    func,
    update,
)  # fmt: skip
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.orm import DeclarativeBase, ORMExecuteState, Session, mapped_column
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
BUSY = 15_000
"""Milliseconds that a statement of SQLite waits for a lock; only where a WAL is being recovered does a reader wait."""
SQLITE_PRAGMAS = ("journal_mode=WAL", "foreign_keys=ON", f"busy_timeout={BUSY}", "synchronous=NORMAL")
NOBODY = 0
"""An id that no row has: the database counts from 1."""
TRIES = 3
"""How often ``repeated`` calls its step at most."""
PATIENCE = 15.0
"""Seconds for which a lock is waited for: SQLite's one for writing, one of PostgreSQL."""
MEEK, PAUSE = 100, 0.002
"""SQLite's write lock: milliseconds that are waited SQLite's own way first; seconds between two attempts after those.
"""
_AT_ONCE = 5_000
_READER = "wisp_reader"
"""Attribute of an engine: the same one for what only reads."""
T = TypeVar("T")


SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
SQLITE_TROUBLE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL)
POSTGRES_TROUBLE = ("08", "53", "57")
"""Classes of SQLSTATE: connection, resources (disk, memory), the operator's intervention."""
POSTGRES_BUSY = ("40001", "40P01", "55P03")
"""SQLSTATEs with which PostgreSQL gives a transaction up for another one's sake: serialization, deadlock, lock timeout.
"""

log = logging.getLogger(__name__)

Rows: TypeAlias = "Select[*tuple[Any, ...]]"
"""A query of any columns."""


Minor: TypeAlias = Annotated[int, mapped_column(BigInteger, info={"money": True})]
"""An amount of money in minor units: 64 bits, since a year of a large provider in a small currency needs them."""


class Base(DeclarativeBase):
    """Parent of every model."""

    metadata = MetaData(naming_convention=NAMING)


def money_columns() -> Iterator[tuple[Table, list[Column[int]]]]:
    """Every table that keeps amounts of money, with the columns that do."""
    for table in Base.metadata.sorted_tables:
        columns = [column for column in table.c if column.info.get("money")]
        if columns:
            yield table, columns


def one_of(name: str, *values: str) -> str:
    """The condition that a column has one of these values, for a CHECK. Spelled out, since SQLite builds a table of the
    values of a longer IN for every row (measured for six: 2 of the 2.9 µs of an UPDATE by id)."""
    return " OR ".join(f"{name} = '{value}'" for value in values)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware moment, stored in UTC. Refuses naive values."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: UTC; without the offset on SQLite, which has no such type."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database: aware, UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class GuardedSession(FlaskSession):
    """A session that writes only inside ``transaction()``, and outside it reads without one (see ``listen``)."""

    def get_bind(self, *args: Any, **options: Any) -> Engine | Connection:
        """The engine of the statement; between transactions the one that reads."""
        bind = super().get_bind(*args, **options)
        if self.info.get("writing") or self.info.get("together"):
            return bind
        reader: Engine | Connection = getattr(bind, _READER, bind)
        return reader


@event.listens_for(GuardedSession, "before_flush")
def _guard_flush(session: Session, *_: Any) -> None:
    if not session.info.get("writing") and (session.new or session.dirty or session.deleted):
        raise RuntimeError("flush outside transaction()")


@event.listens_for(GuardedSession, "do_orm_execute")
def _guard_statement(state: ORMExecuteState) -> None:
    writes = state.is_insert or state.is_update or state.is_delete
    if writes and not state.session.info.get("writing"):
        raise RuntimeError("write statement outside transaction()")


db = SQLAlchemy(
    model_class=Base,
    session_options={"class_": GuardedSession, "autoflush": False, "expire_on_commit": False},
)


def engine_options(url: str, connections: int) -> dict[str, Any]:
    """How the engine is made: so many connections stay open, and no error tells what a statement was given; PostgreSQL
    gives a lock up after PATIENCE, too, unless the address has options of its own."""
    always = {"pool_size": connections, "hide_parameters": True}
    if url.startswith("sqlite") or "options=" in url:
        return always
    return {**always, "connect_args": {"options": f"-c lock_timeout={PATIENCE * 1000:.0f}"}}


def listen(engine: Engine) -> None:
    """Make SQLite behave: our own BEGIN, WAL, foreign keys, waiting for a lock.

    On PostgreSQL what only reads goes without BEGIN and ROLLBACK, which are a message and an answer each: at READ
    COMMITTED every statement sees the latest commits anyhow. For the same reason a connection is asked whether it still
    lives by a look at its socket, where a server that has gone, or has ended the session, has left its last word.
    """
    if engine.dialect.name != "sqlite":
        _look_after(engine)
        setattr(engine, _READER, engine.execution_options(isolation_level="AUTOCOMMIT"))
        return

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in SQLITE_PRAGMAS:
            connection.execute("PRAGMA " + pragma)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        if mode == "IMMEDIATE":
            _lock(connection)
        else:
            connection.exec_driver_sql("BEGIN " + mode)


def _look_after(engine: Engine) -> None:
    """Before a connection is used: an idle one has nothing to say; where there is something, it must answer."""

    @event.listens_for(engine, "checkout")
    def alive(connection: Any, _record: object, _proxy: object) -> None:
        if connection.closed or (_says_something(connection) and not _answers(engine, connection)):
            raise DisconnectionError


def _says_something(connection: Any) -> bool:
    waiting = poll()
    waiting.register(connection.fileno(), POLLIN)
    return bool(waiting.poll(0))


def _answers(engine: Engine, connection: Any) -> bool:
    try:
        return engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error:
        return False


def read_together() -> None:
    """Let the session's reads from here on be one transaction: a result that is fetched part by part needs that."""
    s = session()
    s.rollback()
    s.info["together"] = True


def read_parts(query: Any, size: int = 1000) -> Iterator[Any]:
    """The rows of a query, fetched so many at a time, in one transaction that begins when the first one is asked for:
    an answer that is sent as it is read outlives the session of its request."""
    read_together()
    yield from session().execute(query.execution_options(yield_per=size))


def _lock(connection: Connection) -> None:
    """BEGIN IMMEDIATE: take the write lock of SQLite. OperationalError after PATIENCE.

    SQLite itself asks for a lock again after 1 ms at first and after 100 ms in the end, so who has waited long asks
    least: under steady writing it starves while newcomers are served. Here it asks often once it has waited for MEEK.
    """
    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
    end = monotonic() + PATIENCE
    driver.execute(f"PRAGMA busy_timeout={MEEK}")
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                driver.execute("PRAGMA busy_timeout=0")
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > end:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")  # says what is wrong as SQLAlchemy says it
                    return
                sleep(PAUSE)
            else:
                return
    finally:
        driver.execute(f"PRAGMA busy_timeout={BUSY}")


def session() -> Session:
    """The session of the present context."""
    return db.session()


@contextmanager
def transaction() -> Iterator[Session]:
    """One write transaction: commits at the end, rolls back on any exception, does not nest.

    What was read before is read again inside, under the lock. Callbacks given to ``after_commit`` run once the
    transaction is over, in order; they are forgotten on a roll-back. Only views, jobs and commands open one.
    """
    s = session()
    if s.info.get("writing"):
        raise RuntimeError("transaction() does not nest")
    if s.new or s.dirty or s.deleted:
        raise RuntimeError("changes made before transaction()")
    s.rollback()
    s.info["writing"] = True
    s.info["after_commit"] = []
    try:
        s.connection(execution_options={"sqlite_begin": "IMMEDIATE"})
        yield s
        s.flush()
        s.info["commits"] = commits() + 1  # before it: whether a commit that fails was made, nobody may know
        s.commit()
    except BaseException:
        s.rollback()
        s.info["after_commit"] = []
        raise
    finally:
        s.info["writing"] = False
    callbacks, s.info["after_commit"] = s.info["after_commit"], []
    for callback in callbacks:
        _follow(callback)


def _follow(callback: Callable[[], None]) -> None:
    """What follows a commit can't make it look failed. What it should have begun is found by the periodic jobs."""
    try:
        callback()
    except Exception:
        log.exception("committed, but what was to follow failed; the next sweep begins it")
        session().rollback()


def commits() -> int:
    """How many commits this context has made, or begun to make."""
    count: int = session().info.get("commits", 0)
    return count


def repeated(step: Callable[[], T], again: Callable[[Exception], bool] | None = None) -> T:
    """``step()``, called anew where the database ended it (``again``: by which errors; ``busy``) and nothing of it was
    committed: TRIES times in all, and only within PATIENCE."""
    begun, before = monotonic(), commits()
    for attempt in range(1, TRIES):
        try:
            return step()
        except DBAPIError as error:
            if commits() != before or monotonic() - begun > PATIENCE or not (again or busy)(error):
                raise
            log.info("the database gave it up, again: %s", error.orig)
            session().rollback()
            sleep(0.05 * attempt)
    return step()


def write(step: Callable[[], T]) -> T:
    """``step`` in a transaction of its own, ``repeated`` also where the connection was lost."""

    def once() -> T:
        with transaction():
            return step()

    return repeated(once, lambda error: isinstance(error, OperationalError))


def after_commit(callback: Callable[[], None]) -> None:
    """Run ``callback`` once the present transaction has committed; raises outside one."""
    s = session()
    if not s.info.get("writing"):
        raise RuntimeError("after_commit() outside transaction()")
    s.info["after_commit"].append(callback)


def busy(error: Exception) -> bool:
    """Whether the database gave a transaction up for another one's sake: a lock that was held for too long, a deadlock.
    It may be repeated."""
    code, state = _codes(error)
    return code in SQLITE_BUSY or state in POSTGRES_BUSY


def out_of_order(error: Exception) -> bool:
    """Whether an error is the database's own trouble (connection lost, disk full, busy, shut down), not the fault of
    the rows that were to be written."""
    code, state = _codes(error)
    lost = bool(getattr(error, "connection_invalidated", False))
    return lost or code in SQLITE_TROUBLE or state[:2] in POSTGRES_TROUBLE or state in POSTGRES_BUSY


def _codes(error: Exception) -> tuple[int, str]:
    """SQLite's error code and PostgreSQL's SQLSTATE of an error, 0 and "" where it has none."""
    cause = getattr(error, "orig", None)
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF, getattr(cause, "sqlstate", None) or ""


def dialect() -> str:
    """``sqlite`` or ``postgresql``."""
    return session().get_bind().dialect.name


def insert_into(table: Table | type[Base]) -> Any:
    """An INSERT of the present dialect that knows ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    makers = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
    return makers[dialect()](table if isinstance(table, Table) else cast(Table, table.__table__))


def update_each(
    table: Table | type[Base],
    rows: Sequence[Mapping[str, Any]],
    *where: ColumnElement[bool],
    by: Sequence[str],
    **same: Any,
) -> None:
    """UPDATE many rows of ``table``, each with values of its own.

    ``rows``: mappings with the same keys, plain JSON values; those named in ``by`` find the row, the others are
    written. ``same``: columns that get the same value everywhere. On PostgreSQL one statement (measured for 1,000 rows:
    13 ms, as many prepared updates 38 ms, most of it in the server), in no order: who needs the locks in an order takes
    them before. On SQLite, which has no line to cross, a statement each.
    """
    if not session().info.get("writing"):
        raise RuntimeError("update_each() outside transaction()")
    if not rows:
        return
    table = table if isinstance(table, Table) else cast(Table, table.__table__)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    # Most columns say the same for everybody, and then need to be said only once.
    alike = {name: values[0] for name, values in columns.items() if values.count(values[0]) == len(values)}
    varying = [name for name in columns if name not in alike]
    if not varying:
        _execute(_update(table, alike, by, where, same))
    elif dialect() == "postgresql":
        for at in range(0, len(rows), _AT_ONCE):
            given = {name: columns[name][at : at + _AT_ONCE] for name in varying}
            _execute(_update(table, alike | dict(_given(table, given).c), by, where, same))
    else:
        bound: dict[str, Any] = {name: bindparam(f"given_{name}") for name in varying}
        _execute_many(_update(table, alike | bound, by, where, same), {name: columns[name] for name in varying})


def _update(
    table: Table,
    given: Mapping[str, Any],
    by: Sequence[str],
    where: Sequence[ColumnElement[bool]],
    same: dict[str, Any],
) -> Update:
    found = [table.c[name] == given[name] for name in by]
    values = {name: value for name, value in given.items() if name not in by}
    return update(table).where(*found, *where).values(values | same)


def _execute(statement: Update) -> None:
    session().execute(statement, execution_options={"synchronize_session": False})


def _execute_many(statement: Update, columns: Mapping[str, Sequence[Any]]) -> None:
    """The statement for each row of ``columns``, whose values go to the driver as they are: plain values need no
    conversion, which would take twice as long as the database."""
    connection = session().connection()
    compiled = statement.compile(dialect=connection.dialect)
    order = compiled.positiontup or []
    given: dict[str, Iterable[Any]] = {f"given_{name}": values for name, values in columns.items()}
    for name in set(order) - set(given):
        bind = compiled.binds[name]
        convert = bind.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
        given[name] = repeat(convert(bind.value) if convert else bind.value)
    connection.exec_driver_sql(str(compiled), list(zip(*[given[name] for name in order], strict=False)))


def _given(table: Table, columns: Mapping[str, list[Any]]) -> FromClause:
    """Rows of values to join with, typed as the columns of ``table``: an array for each column."""
    types = {name: table.c[name].type for name in columns}
    arrays = [bindparam(f"given_{name}", values, ARRAY(types[name])) for name, values in columns.items()]
    named = [column(name, type_) for name, type_ in types.items()]
    return func.unnest(*arrays).table_valued(*named).render_derived("given")
