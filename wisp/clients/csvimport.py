"""Writing a reviewed client CSV: in bulk, all or nothing, in the present transaction."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from wisp.clients import networks, search
from wisp.clients.csvcheck import Planned, Review, chunks
from wisp.clients.models import Client, ClientNetwork, name_key
from wisp.clients.service import SEARCHED
from wisp.core import audit, clock, crypto, events
from wisp.core.audit import AuditEntry
from wisp.core.db import Base, session
from wisp.core.errors import Refused

_UNIQUE = {"address", "address6", "username", "connection", "router_id"}


@dataclass(frozen=True, slots=True)
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
    rows: list[Imported] = []
    try:
        for part in chunks(review.added):
            _insert(part, now)
            rows += [Imported(p.client_id, p.code, True, p.balance, p.state) for p in part if p.client_id]
            _write_audit("client.add", part, now)
        held = _let_go(review)
        for part in chunks(review.changed):
            _update(part, held)
            rows += [Imported(p.client_id, p.code, False, p.balance, "") for p in part if p.client_id]
            _write_audit("client.edit", part, now)
        _take_up(held)
    except IntegrityError:
        raise Refused("clients.conflict") from None
    session().expire_all()
    for part in chunks(review.changed):
        search.index([plan.client_id for plan in part if plan.client_id and SEARCHED & set(plan.values)])
    _emit(review, rows)


def _insert(added: Sequence[Planned], now: Any) -> None:
    table = Base.metadata.tables["client"]
    rows = [
        {
            **{name: value for name, value in plan.values.items() if name != "networks"},
            "code": plan.code,
            "name_key": name_key(plan.values["name"]),
            "password": crypto.encrypt(plan.values["password"]),
            "created_at": now,
            "cancelled_at": now if plan.state == "cancelled" else None,
        }
        for plan in added
    ]
    session().execute(table.insert(), rows)
    codes = [plan.code for plan in added]
    ids = dict(session().execute(sa.select(Client.code, Client.id).where(Client.code.in_(codes))).all())
    terms = []
    for plan in added:
        plan.client_id = ids[plan.code]
        v = plan.values
        own = (v["name"], plan.code, v["address"], v["phone"], v["username"], v["email"], v.get("address6"))
        terms.append((plan.client_id, *own, v.get("phone2", ""), v.get("networks", ())))
    search.insert_terms(terms)
    _add_networks(added)


def _add_networks(plans: Sequence[Planned]) -> None:
    """The networks that these rows bring. Those of a cancelled client are on no router."""
    networks.insert(
        [
            {
                "client_id": plan.client_id,
                "network": network,
                "router_id": None if plan.state == "cancelled" else router,
            }
            for plan in plans
            for router in [plan.values.get("router_id", plan.router_id)]
            for network in plan.values.get("networks", ())
        ]
    )


def _let_go(review: Review) -> dict[int, dict[str, Any]]:
    """Free what must be unique, of all clients that change it, before anything is written: two clients may swap their
    addresses. What they had, by client."""
    table = Base.metadata.tables["client"]
    held: dict[int, dict[str, Any]] = {}
    letting_go = (plan.client_id for plan in review.changed if plan.client_id and _UNIQUE & set(plan.values))
    for part in chunks(letting_go):
        query = sa.select(Client.id, Client.address, Client.address6, Client.username).where(Client.id.in_(part))
        for client_id, address, address6, username in session().execute(query):
            held[client_id] = {"address": address, "address6": address6, "username": username}
        session().execute(table.update().where(table.c.id.in_(part)).values(address=None, address6=None, username=""))
        session().execute(sa.update(ClientNetwork).where(ClientNetwork.client_id.in_(part)).values(router_id=None))
    other_networks = (plan.client_id for plan in review.changed if plan.client_id and "networks" in plan.values)
    for part in chunks(other_networks):
        session().execute(sa.delete(ClientNetwork).where(ClientNetwork.client_id.in_(part)))
    return held


def _take_up(held: dict[int, dict[str, Any]]) -> None:
    """Put the networks that were let go, and stay, on the routers of their clients."""
    router = sa.select(Client.router_id).where(Client.id == ClientNetwork.client_id).scalar_subquery()
    for part in chunks(held):
        session().execute(
            sa.update(ClientNetwork)
            .where(ClientNetwork.client_id.in_(part), ClientNetwork.router_id.is_(None))
            .values(router_id=router)
            .execution_options(synchronize_session=False)
        )


def _update(changed: Sequence[Planned], held: dict[int, dict[str, Any]]) -> None:
    """Only the columns that change, in one statement for each set of columns."""
    table = Base.metadata.tables["client"]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for plan in changed:
        if plan.client_id is None:
            continue
        values = {**held.get(plan.client_id, {}), **plan.values}
        values.pop("networks", None)
        if "name" in values:
            values["name_key"] = name_key(values["name"])
        if "password" in values:
            values["password"] = crypto.encrypt(values["password"])
        if values:
            groups[tuple(sorted(values))].append({"own_id": plan.client_id, **values})
    for names, rows in groups.items():
        statement = table.update().where(table.c.id == sa.bindparam("own_id"))
        session().connection().execute(statement.values({name: sa.bindparam(name) for name in names}), rows)
    _add_networks(changed)


def _write_audit(action: str, plans: Sequence[Planned], now: Any) -> None:
    """One line for each client written; passwords never."""
    who = audit.actor()
    lines = [
        {
            "at": now,
            "actor": who.name,
            "ip": who.ip,
            "action": action,
            "target": f"client:{plan.code}",
            "before": _plain(plan.before) if action == "client.edit" else None,
            "after": _plain(plan.values),
        }
        for plan in plans
        if plan.values
    ]
    if lines:
        session().execute(Base.metadata.tables[AuditEntry.__tablename__].insert(), lines)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    simple = (str, int, type(None))
    shown = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {k: v if isinstance(v, (*simple, list)) else v.isoformat() for k, v in shown.items() if k != "password"}


def _emit(review: Review, rows: list[Imported]) -> None:
    moves: dict[tuple[int, int], list[int]] = defaultdict(list)
    for plan in review.changed:
        if "zone_id" in plan.values and plan.client_id:
            moves[(plan.router_id, plan.values.get("router_id", plan.router_id))].append(plan.client_id)
    for (old, new), ids in moves.items():
        events.client_moved.emit(client_ids=ids, old_router_id=old, new_router_id=new)
    if rows:
        events.client_saved.emit(client_ids=[row.client_id for row in rows])
        events.clients_imported.emit(rows=rows)
