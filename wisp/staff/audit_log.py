"""Reading the audit log: who changed what, when, from where, narrowed down and page by page. Nothing here writes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from wisp.core.audit import AuditEntry
from wisp.core.db import session
from wisp.core.scope import EVERYTHING, Scope
from wisp.routers import service as routers

CHUNK = 2_000
_client = sa.table(
    "client", sa.column("id"), sa.column("code"), sa.column("zone_id"), sa.column("schedule_id", sa.Integer)
)
_invoice = sa.table("invoice", sa.column("label", sa.String), sa.column("client_id"), sa.column("state"))
_payment = sa.table("payment", sa.column("id", sa.Integer), sa.column("client_id"))
_message = sa.table("message", sa.column("id", sa.Integer), sa.column("client_id"))
_zone = sa.table("zone", sa.column("id"), sa.column("schedule_id", sa.Integer))
_task = sa.table("periodic_task", sa.column("id", sa.Integer), sa.column("schedule_id"))


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed to; empty = no limit. ``since`` and ``until`` are local days, both included; ``actor``
    ending in a colon is a kind of actor (``cli:``)."""

    text: str = ""
    action: str = ""
    actor: str = ""
    since: date | None = None
    until: date | None = None


def query(scope: Scope, only: Filters, timezone: ZoneInfo) -> sa.Select[AuditEntry]:
    """The entries that ``only`` leaves, unordered. Whoever is limited to some zones sees what was done to these zones,
    their clients, and the invoices, payments, tasks and e-mails of both."""
    found = sa.select(AuditEntry)
    if scope != EVERYTHING:
        found = found.where(_inside(scope))
    if only.action:
        found = found.where(AuditEntry.action == only.action)
    if only.actor.endswith(":"):
        found = found.where(AuditEntry.actor.startswith(only.actor, autoescape=True))
    elif only.actor:
        found = found.where(AuditEntry.actor == only.actor)
    if only.since is not None:
        found = found.where(AuditEntry.at >= _midnight(only.since, timezone))
    if only.until is not None:
        found = found.where(AuditEntry.at < _midnight(only.until + timedelta(days=1), timezone))
    return found.where(_holds(only.text.strip())) if only.text.strip() else found


def _inside(scope: Scope) -> sa.ColumnElement[bool]:
    """The target is one of these zones, or the client, invoice, payment, task, e-mail or schedule of one of them.

    What stands behind the colon of a target is looked up by its index for each line in turn: a list of all the numbers
    of a zone would be as long as its history.
    """
    zone_ids = list(scope.zone_ids or ())
    zones = [f"zone:{routers.label(zone)}" for zone in routers.zones(scope)]
    ours = _client.c.zone_id.in_(zone_ids)
    return sa.or_(
        AuditEntry.target.in_(zones),
        _there("client", _client.c.code, ours),
        # only voids are written down, and they alone have an index
        _there("invoice", _invoice.c.label, _invoice.c.state == "void", _invoice.c.client_id == _client.c.id, ours),
        _there("payment", _payment.c.id, _payment.c.client_id == _client.c.id, ours),
        _there("message", _message.c.id, _message.c.client_id == _client.c.id, ours),
        _there("schedule", _zone.c.schedule_id, _zone.c.id.in_(zone_ids)),
        _there("schedule", _client.c.schedule_id, ours),
        _there("task", _task.c.id, _task.c.schedule_id == _zone.c.schedule_id, _zone.c.id.in_(zone_ids)),
        _there("task", _task.c.id, _task.c.schedule_id == _client.c.schedule_id, ours),
    )


def _there(kind: str, column: sa.ColumnElement[Any], *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """The target is of ``kind``, and a row that meets ``conditions`` has its name or number in ``column``. Numbers are
    cast inside the CASE alone: PostgreSQL would stumble over other kinds of targets."""
    name: sa.ColumnElement[Any] = sa.func.substr(AuditEntry.target, len(kind) + 2)
    name = sa.cast(name, sa.Integer) if isinstance(column.type, sa.Integer) else name
    mine = AuditEntry.target.startswith(f"{kind}:", autoescape=True)
    return sa.case((mine, sa.exists().where(column == name, *conditions).correlate(AuditEntry)), else_=sa.false())


def _midnight(day: date, timezone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), timezone)


def _holds(text: str) -> sa.ColumnElement[bool]:
    """The text stands in the target, the actor, the address or the values. JSON is stored with ñ as \\u00f1."""
    plain, stored = _pattern(text), _pattern(json.dumps(text)[1:-1])
    values = (sa.cast(column, sa.Text) for column in (AuditEntry.before, AuditEntry.after))
    return sa.or_(
        *(column.ilike(plain, escape="\\") for column in (AuditEntry.target, AuditEntry.actor, AuditEntry.ip)),
        *(column.ilike(stored, escape="\\") for column in values),
    )


def _pattern(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def everything(found: sa.Select[AuditEntry]) -> Iterator[AuditEntry]:
    """All entries of a query, newest first, a few thousand in memory at a time."""
    last: int | None = None
    while True:
        part = found.order_by(AuditEntry.id.desc()).limit(CHUNK)
        rows = session().scalars(part if last is None else part.where(AuditEntry.id < last)).all()
        if not rows:
            return
        last = rows[-1].id
        yield from rows
        session().expunge_all()  # read only: a long log must not stay in memory
