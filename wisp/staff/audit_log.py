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
_client = sa.table("client", sa.column("code"), sa.column("zone_id"))


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
    """The entries that ``only`` leaves, unordered. Whoever is limited to some zones sees what was done to these zones
    and their clients."""
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
    codes = sa.select(sa.literal("client:") + _client.c.code).where(_client.c.zone_id.in_(scope.zone_ids or ()))
    zones = [f"zone:{routers.label(zone)}" for zone in routers.zones(scope)]
    return sa.or_(AuditEntry.target.in_(codes), AuditEntry.target.in_(zones))


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


def differences(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """Name, value before and value after of what changed, in the order of the names."""
    before, after = entry.before or {}, entry.after or {}
    return [(name, shown(before.get(name)), shown(after.get(name))) for name in sorted({*before, *after})]


def shown(value: Any) -> str:
    """A value as text: lists with commas, nothing as nothing."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float | str):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str | int) for item in value):
        return ", ".join(str(item) for item in value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
