"""Writing a reviewed client CSV: in bulk, all or nothing, in the present transaction."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from wisp.clients import search
from wisp.clients.csvcheck import Planned, Review, chunks
from wisp.clients.models import Client, name_key
from wisp.core import audit, clock, crypto, events
from wisp.core.audit import AuditEntry
from wisp.core.db import Base, session
from wisp.core.errors import Refused

_SEARCHED = {"name", "address", "address6", "phone", "username", "email"}
_UNIQUE = {"address", "address6", "username", "connection", "router_id"}


@dataclass(frozen=True)
class Imported:
    """One row that was written, for the slices that act on it in the same transaction.

    ``balance`` (minor units, negative = credit) opens the account: it is given only for a new client, or for one
    with neither invoice nor payment. ``state`` is given only for a new client.
    """

    client_id: int
    code: str
    new: bool
    balance: int | None
    state: str


def apply(review: Review) -> None:
    """Write what a review without problems says, in the present transaction; set-based.

    Emits client_moved (for each pair of routers), client_saved and clients_imported. Refused("clients.conflict")
    where somebody else has taken a code, an address or a user meanwhile.
    """
    if review.problem_count:
        raise Refused("clients.import_problems", count=review.problem_count)
    now = clock.now()
    try:
        _insert(review.added, now)
        _update(review.changed)
    except IntegrityError:
        raise Refused("clients.conflict") from None
    search.index([plan.client_id for plan in review.changed if plan.client_id and _SEARCHED & set(plan.values)])
    _write_audit(review, now)
    _emit(review)


def _insert(added: Sequence[Planned], now: Any) -> None:
    table = Base.metadata.tables["client"]
    rows = [
        {
            **plan.values,
            "code": plan.code,
            "name_key": name_key(plan.values["name"]),
            "password": crypto.encrypt(plan.values["password"]),
            "created_at": now,
            "cancelled_at": now if plan.state == "cancelled" else None,
        }
        for plan in added
    ]
    for part in chunks(rows):
        session().execute(table.insert(), part)
    ids: dict[str, int] = {}
    for codes in chunks([plan.code for plan in added]):
        ids.update(session().execute(sa.select(Client.code, Client.id).where(Client.code.in_(codes))).all())
    terms = []
    for plan in added:
        plan.client_id = ids[plan.code]
        v = plan.values
        own = (v["name"], plan.code, v["address"], v["phone"], v["username"], v["email"], v.get("address6"),
               v.get("phone2", ""), v.get("networks", ()))  # fmt: skip
        terms.append((plan.client_id, *own))
    search.insert_terms(terms)


def _update(changed: Sequence[Planned]) -> None:
    """Only the columns that change, in one statement for each set of columns. What must be unique is let go
    first: two clients may swap their addresses."""
    table = Base.metadata.tables["client"]
    letting_go = [plan.client_id for plan in changed if plan.client_id and _UNIQUE & set(plan.values)]
    keep: dict[int, dict[str, Any]] = {}
    for part in chunks(letting_go):
        held = sa.select(Client.id, Client.address, Client.address6, Client.username).where(Client.id.in_(part))
        for client_id, address, address6, username in session().execute(held):
            keep[client_id] = {"address": address, "address6": address6, "username": username}
        session().execute(table.update().where(table.c.id.in_(part)).values(address=None, address6=None, username=""))
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for plan in changed:
        if not plan.values or plan.client_id is None:
            continue
        values = dict(plan.values)
        values = {**keep.get(plan.client_id, {}), **values}
        if "name" in values:
            values["name_key"] = name_key(values["name"])
        if "password" in values:
            values["password"] = crypto.encrypt(values["password"])
        groups[tuple(sorted(values))].append({"own_id": plan.client_id, **values})
    for names, rows in groups.items():
        statement = table.update().where(table.c.id == sa.bindparam("own_id"))
        statement = statement.values({name: sa.bindparam(name) for name in names})
        for some in chunks(rows):
            session().connection().execute(statement, some)
    session().expire_all()


def _write_audit(review: Review, now: Any) -> None:
    """One line for each client written; passwords never."""
    who = audit.actor()
    common = {"at": now, "actor": who.name, "ip": who.ip}
    lines = [
        {**common, "action": action, "target": f"client:{plan.code}", "before": before, "after": _plain(plan.values)}
        for action, plans in (("client.add", review.added), ("client.edit", review.changed))
        for plan in plans
        if plan.values
        for before in [_plain(plan.before) if action == "client.edit" else None]
    ]
    table = Base.metadata.tables[AuditEntry.__tablename__]
    for part in chunks(lines):
        session().execute(table.insert(), part)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    simple = (str, int, type(None))
    return {k: v if isinstance(v, simple) else v.isoformat() for k, v in values.items() if k != "password"}


def _emit(review: Review) -> None:
    moves: dict[tuple[int, int], list[int]] = defaultdict(list)
    for plan in review.changed:
        if "zone_id" in plan.values and plan.client_id:
            moves[(plan.router_id, plan.values.get("router_id", plan.router_id))].append(plan.client_id)
    for (old, new), ids in moves.items():
        events.client_moved.emit(client_ids=ids, old_router_id=old, new_router_id=new)
    written = [*review.added, *review.changed]
    saved = [plan.client_id for plan in written if plan.client_id]
    if saved:
        events.client_saved.emit(client_ids=saved)
        rows = [
            Imported(plan.client_id, plan.code, new, plan.balance, plan.state)
            for new, plans in ((True, review.added), (False, review.changed))
            for plan in plans
            if plan.client_id
        ]
        events.clients_imported.emit(rows=rows)
