"""The few expressions that SQLite and PostgreSQL spell differently."""

from datetime import date
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Date, Integer, String, case, cast, func, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

LARGEST_ID = 2**31 - 1
"""The largest row number that both databases take."""


class latest(FunctionElement[Any]):
    """The latest of several dates, none of them NULL."""

    type = Date()
    inherit_cache = True


class days_after(FunctionElement[Any]):
    """The date so many days (second) after a date (first)."""

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


@compiles(days_after, "sqlite")
def _days_after_sqlite(element: days_after, compiler: SQLCompiler, **kw: Any) -> str:
    day, days = _arguments(element, compiler, **kw)
    return f"date({day}, ({days}) || ' days')"


@compiles(days_after, "postgresql")
def _days_after_postgresql(element: days_after, compiler: SQLCompiler, **kw: Any) -> str:
    day, days = _arguments(element, compiler, **kw)
    return f"({day} + {days})"


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


class Columns:
    """What rules that hold for plain values and for columns need beside operators (see invoices.domain)."""

    def case(self, *cases: tuple[Any, Any], otherwise: Any) -> ColumnElement[Any]:
        """The value of the first condition that is true."""
        return case(*cases, else_=otherwise)

    def latest(self, *days: Any) -> ColumnElement[Any]:
        """The latest of several dates."""
        return latest(*map(_day, days))

    def days_after(self, day: Any, days: int) -> ColumnElement[Any]:
        """The date so many days later."""
        return days_after(_day(day), literal(days, Integer))

    def days_from_to(self, first: Any, second: Any) -> ColumnElement[int]:
        """How many days lie between two dates: 0 for the same one."""
        return days_from_to(_day(first), _day(second))

    def digits(self, number: ColumnElement[int], at_least: int) -> ColumnElement[str]:
        """A number's digits, filled up with zeros."""
        full = 10**at_least
        return case((number >= full, cast(number, String)), else_=func.substr(cast(number + full, String), 2))


COLUMNS = Columns()


def _day(day: Any) -> Any:
    return literal(day, Date) if isinstance(day, date) else day
