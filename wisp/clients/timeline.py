"""Everything that has happened to one client, newest first. Each slice registers a source; they are read together by
one UNION, page by page, and each source then puts the lines of the page into words."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from wisp.clients.models import Client
from wisp.core.db import Rows, session
from wisp.core.permissions import Permission


@dataclass(frozen=True)
class Said:
    """A line in words; ``look`` and ``state``: a badge beside it, empty for none."""

    text: str
    look: str = ""
    state: str = ""


@dataclass(frozen=True)
class Event:
    """One line. ``amount`` in minor units; ``run``, ``payment``: numbers; ``invoice``: a label."""

    at: datetime
    kind: str
    actor: str
    said: Said
    amount: int | None = None
    run: int | None = None
    invoice: str | None = None
    payment: int | None = None


@dataclass(frozen=True)
class Source:
    """What one slice knows. ``rows(client)``: queries of ``columns``, each over an index of the client; ``words``:
    what the lines of a page say, in as many statements however many they are. ``permission``: who may read them."""

    key: str
    rows: Callable[[Client], Sequence[sa.Select[Any]]]
    words: Callable[[Client, Sequence[Any]], Sequence[Said]]
    permission: Permission | None = None


sources: dict[str, Source] = {}
"""By key; filled in by the slices."""


def add(source: Source) -> None:
    """Register a source, or replace the one of that key."""
    sources[source.key] = source


def columns(
    key: str,
    kind: Any,
    at: Any,
    ref: Any,
    *,
    actor: Any = "",
    amount: Any = None,
    run: Any = None,
    invoice: Any = None,
    payment: Any = None,
    detail: Any = "",
) -> list[sa.ColumnElement[Any]]:
    """The columns of a source's query, from columns or plain values. ``ref``: the number of the row that it is about;
    ``detail``: what the words need besides."""
    values: dict[str, tuple[Any, Any]] = {
        "source": (key, sa.String), "kind": (kind, sa.String), "ref": (ref, sa.Integer), "actor": (actor, sa.String),
        "amount": (amount, sa.BigInteger), "run": (run, sa.Integer), "invoice": (invoice, sa.String),
        "payment": (payment, sa.Integer), "detail": (detail, sa.String),
    }  # fmt: skip
    return [at.label("at"), *(_column(value, type_).label(name) for name, (value, type_) in values.items())]


def _column(value: Any, type_: Any) -> sa.ColumnElement[Any]:
    """A column or a plain value, of the type that all parts of the UNION have in its place."""
    plain = value is None or isinstance(value, str | int)
    return sa.cast(sa.literal(value, type_) if plain else value, type_)


def query(client: Client, allowed: Callable[[Permission], bool] = lambda _: True) -> tuple[Rows, list[Any]]:
    """The lines of a client that ``allowed`` lets through, unordered, and the columns to order them by."""
    parts = [
        part
        for source in sources.values()
        if source.permission is None or allowed(source.permission)
        for part in source.rows(client)
    ]
    union = sa.union_all(*parts).subquery("timeline")
    return sa.select(*union.c), [union.c.at, union.c.source, union.c.ref]


def events(client: Client, rows: Iterable[Any]) -> list[Event]:
    """The lines of a page in words, in the order given."""
    found = list(rows)
    said: dict[int, Said] = {}
    for key in dict.fromkeys(row.source for row in found):
        mine = [(at, row) for at, row in enumerate(found) if row.source == key]
        words = sources[key].words(client, [row for _at, row in mine])
        said |= {at: text for (at, _row), text in zip(mine, words, strict=True)}
    return [
        Event(row.at, row.kind, row.actor, said[at], row.amount, row.run, row.invoice, row.payment)
        for at, row in enumerate(found)
    ]


def everything(client: Client) -> list[Event]:
    """All of a client's history, newest first."""
    found, order = query(client)
    return events(client, session().execute(found.order_by(*(column.desc() for column in order))).all())
