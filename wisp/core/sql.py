"""The few expressions that SQLite and PostgreSQL spell differently."""

from typing import Any

from sqlalchemy import Boolean, Date, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class latest(FunctionElement[Any]):
    """The latest of several dates, none of them NULL."""

    type = Date()
    inherit_cache = True


class day_after(FunctionElement[Any]):
    """The date after a date."""

    type = Date()
    inherit_cache = True


class days_from_to(FunctionElement[int]):
    """How many days lie between two dates (first, second): 0 for the same one."""

    type = Integer()
    inherit_cache = True


class unhurried(FunctionElement[bool]):
    """True. As a condition of a write its transaction does not wait for the disk at its end: a power cut may forget the
    last half second, as it may on SQLite in any case. No statement of its own, so no answer to wait for."""

    type = Boolean()
    inherit_cache = True


def _arguments(element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> list[str]:
    return [compiler.process(clause, **kw) for clause in element.clauses]


@compiles(latest, "sqlite")
def _latest_sqlite(element: latest, compiler: SQLCompiler, **kw: Any) -> str:
    return f"max({', '.join(_arguments(element, compiler, **kw))})"


@compiles(latest, "postgresql")
def _latest_postgresql(element: latest, compiler: SQLCompiler, **kw: Any) -> str:
    return f"greatest({', '.join(_arguments(element, compiler, **kw))})"


@compiles(day_after, "sqlite")
def _day_after_sqlite(element: day_after, compiler: SQLCompiler, **kw: Any) -> str:
    return f"date({_arguments(element, compiler, **kw)[0]}, '+1 day')"


@compiles(day_after, "postgresql")
def _day_after_postgresql(element: day_after, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({_arguments(element, compiler, **kw)[0]} + 1)"


@compiles(days_from_to, "sqlite")
def _days_sqlite(element: days_from_to, compiler: SQLCompiler, **kw: Any) -> str:
    first, second = _arguments(element, compiler, **kw)
    return f"CAST(julianday({second}) - julianday({first}) AS INTEGER)"


@compiles(days_from_to, "postgresql")
def _days_postgresql(element: days_from_to, compiler: SQLCompiler, **kw: Any) -> str:
    first, second = _arguments(element, compiler, **kw)
    return f"({second} - {first})"


@compiles(unhurried, "sqlite")
def _unhurried_sqlite(_element: unhurried, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "1"


@compiles(unhurried, "postgresql")
def _unhurried_postgresql(_element: unhurried, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "(set_config('synchronous_commit', 'off', true) = 'off')"
