"""Reviews of what a router holds: made from what was read, corrected by a person, continued later or thrown away.

A review belongs to the person who read the router. Nothing here talks to a router or changes a client.
"""

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from wisp.access.importing import matching
from wisp.access.importing.domain import DISABLED, Found, KnownClient, KnownPlan, Proposal, Tables
from wisp.access.importing.models import RouterImport, RouterImportEntry, RouterImportRow
from wisp.access.models import Access, RouterSync
from wisp.clients import networks
from wisp.clients.models import Client, Plan
from wisp.core import audit, clock, crypto
from wisp.core.crypto import SecretUnreadable
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.core.scope import EVERYTHING, Scope
from wisp.gateway import Target
from wisp.routers import service as routers
from wisp.routers.models import Router, Zone
from wisp.settings import service as settings

KEPT = timedelta(days=14)
"""How long a review waits for its person after the last change."""
TYPED = ("code", "name", "email", "phone", "balance")
LONGEST = 400
"""Letters of a typed value that are kept; every rule allows fewer."""
TAKES = ("cut", "notice")
SHOWS = ("all", "new", "changed", "conflict", "same", "problems", "lists")
NAMES = 20
"""So many queues that are passed over are named."""
CHUNK = 1_000


# Reading ---------------------------------------------------------------------------------------------


def target(router: Router) -> Target:
    """Where to reach a router. Refused("access.password_unreadable") where its password cannot be read."""
    try:
        return routers.target(router)
    except SecretUnreadable:
        raise Refused("access.password_unreadable", router=router.name) from None


def prepare(router_id: int, tables: Tables, scope: Scope) -> Found:
    """What the tables suggest, against the clients that are there now. Only reads."""
    held = _held(router_id)
    here = list(session().scalars(_clients_of(router_id)))
    further = networks.of([client.id for client in here])
    known = [_known(client, scope, held.get(client.id), further.get(client.id, ())) for client in here]
    columns = (Plan.id, Plan.name, Plan.down, Plan.up, Plan.router_profile)
    plans = [KnownPlan(*row) for row in session().execute(sa.select(*columns).where(Plan.active).order_by(Plan.id))]
    return matching.propose(tables, known, plans, session().scalars(sa.select(Client.code)))


def _clients_of(router_id: int) -> sa.Select[Client]:
    return sa.select(Client).where(Client.router_id == router_id, Client.cancelled_at.is_(None)).order_by(Client.id)


def _held(router_id: int) -> dict[int, frozenset[str]]:
    """What our levers hold of the router's clients, see KnownClient."""
    company = settings.company()
    former = session().scalar(sa.select(RouterSync.lists).where(RouterSync.router_id == router_id))
    names = {company.list_overdue, company.list_notice, *json.loads(former or "[]")}
    query = sa.select(Access.client_id, Access.lever, Access.lever_before).where(
        Access.router_id == router_id, Access.lever != ""
    )
    found: dict[int, frozenset[str]] = {}
    for client_id, lever, before in session().execute(query):
        if lever in ("profile", "lease"):
            theirs = before.split(",") if lever == "lease" else ()
            found[client_id] = frozenset(names.difference(theirs))
        elif not before:
            found[client_id] = frozenset({DISABLED})
    return found


def _known(
    client: Client, scope: Scope, held: frozenset[str] | None = None, further: tuple[str, ...] = ()
) -> KnownClient:
    try:
        password = crypto.decrypt(client.password)
    except SecretUnreadable:
        password = ""
    return KnownClient(
        client.id, client.code, client.name, client.connection, client.address or "", client.address6 or "",
        client.mac, client.username, password, client.plan_id, not scope.allows(client.zone_id), held or frozenset(),
        further,
    )  # fmt: skip


def keep(router: Router, found: Found, scope: Scope) -> RouterImport:
    """Store proposals as a review of the present person. Reviews that nobody touched for long are forgotten."""
    forget_old()
    now = clock.now()
    on_list: dict[str, int] = {}
    for proposal in found.proposals:
        for name in {entry.list for entry in proposal.entries}:
            on_list[name] = on_list.get(name, 0) + 1
    review = RouterImport(
        router_id=router.id, token=secrets.token_urlsafe(32), actor=audit.actor().name, created_at=now, touched_at=now,
        lists=[[name, count, on_list.get(name, 0)] for name, count in found.lists.items() if count],
        choices={}, passed_over={**found.passed_over, "names": found.passed_names[:NAMES]},
    )  # fmt: skip
    session().add(review)
    session().flush()
    zones = routers.zones_of(router, scope)
    alone = zones[0].id if len(zones) == 1 else None
    clients = _whole([p.client.id for p in found.proposals if p.client is not None])
    rows = [_row(review.id, at, p, clients, alone) for at, p in enumerate(found.proposals, 1)]
    session().add_all(rows)
    session().flush()
    session().add_all(
        RouterImportEntry(
            import_id=review.id, row_id=row.id, list=entry.list, address=entry.address, ipv6=entry.ipv6,
            comment=entry.comment, fixed=entry.fixed,
        )
        for row, proposal in zip(rows, found.proposals, strict=True)
        for entry in proposal.entries
    )  # fmt: skip
    session().flush()
    return review


def _whole(client_ids: Sequence[int]) -> dict[int, Client]:
    found: dict[int, Client] = {}
    for part in parts(client_ids):
        found |= {client.id: client for client in session().scalars(sa.select(Client).where(Client.id.in_(part)))}
    return found


def _row(
    import_id: int, position: int, proposal: Proposal, clients: Mapping[int, Client], zone_id: int | None
) -> RouterImportRow:
    """A proposal as a row. What is new is ticked, unless it is switched off on the router or leased for the moment;
    what differs waits for a person, and what is equal has nothing to do but for its lists."""
    client = clients[proposal.client.id] if proposal.client is not None else None
    plan_id = proposal.plan_id if client is None or "plan" in proposal.changes else client.plan_id
    quiet = proposal.disabled or proposal.dynamic
    up, down = proposal.speed or (0, 0)
    return RouterImportRow(
        import_id=import_id, position=position, status=proposal.status, changes=proposal.changes, edited=[],
        include=(proposal.status == "new" and not quiet) or (proposal.status == "same" and bool(proposal.entries)),
        client_id=client.id if client else None, code=proposal.code, name=client.name if client else proposal.name,
        email=client.email if client else "", phone=client.phone if client else "",
        zone_id=client.zone_id if client else zone_id, plan_id=plan_id or None, source=proposal.source,
        connection=proposal.connection, address=proposal.address, address6=proposal.address6, mac=proposal.mac,
        networks=" ".join(proposal.networks),
        username=proposal.username, password=crypto.encrypt(proposal.password), comment=proposal.comment,
        profile=proposal.profile, up=up, down=down, dynamic=proposal.dynamic, reason=proposal.reason,
        reason_values=proposal.values,
    )  # fmt: skip


def parts(values: Sequence[Any], size: int = CHUNK) -> list[Sequence[Any]]:
    """``values`` in parts that one statement takes."""
    return [values[at : at + size] for at in range(0, len(values), size)]


# Finding ---------------------------------------------------------------------------------------------


def find(token: str, router_id: int, scope: Scope = EVERYTHING, *, lock: bool = False) -> RouterImport:
    """The open review of that token, for the person who began it; ``lock`` before it is changed.

    Refused("access.import_gone") where there is none, or where it holds clients whom this person may not see any more;
    "access.import_done" where it has been confirmed.
    """
    query = sa.select(RouterImport).where(RouterImport.token == token, RouterImport.router_id == router_id)
    query = query.execution_options(populate_existing=True)
    review = session().scalar(query.with_for_update() if lock else query)
    if review is None or review.actor != audit.actor().name:
        raise Refused("access.import_gone")
    if review.done_at is not None:
        raise Refused("access.import_done", added=review.added, changed=review.changed)
    if scope.zone_ids is not None:
        outside = sa.select(Client.id).where(Client.zone_id.not_in(scope.zone_ids))
        if _count(RouterImportRow.import_id == review.id, RouterImportRow.client_id.in_(outside)):
            raise Refused("access.import_gone")
    return review


def reviews(router_id: int, limit: int = 10) -> list[RouterImport]:
    """The last reviews of a router by the present person, open and done, the newest first."""
    mine = (RouterImport.router_id == router_id, RouterImport.actor == audit.actor().name)
    return list(session().scalars(sa.select(RouterImport).where(*mine).order_by(RouterImport.id.desc()).limit(limit)))


def rows_query(review: RouterImport, show: str = "all", text: str = "") -> sa.Select[RouterImportRow]:
    """The rows of a review that a filter leaves; ``show`` one of SHOWS, ``text`` in name, code, user or address."""
    query = sa.select(RouterImportRow).where(RouterImportRow.import_id == review.id)
    if show in ("new", "changed", "conflict", "same"):
        query = query.where(RouterImportRow.status == show)
    elif show == "problems":
        query = query.where(RouterImportRow.problems.is_not(None))
    elif show == "lists":
        query = query.where(_has_entries())
    if text:
        columns = ("name", "code", "username", "address", "comment")
        found = (getattr(RouterImportRow, name).icontains(text, autoescape=True) for name in columns)
        query = query.where(sa.or_(*found))
    return query


def _has_entries() -> sa.ColumnElement[bool]:
    return RouterImportRow.id.in_(sa.select(RouterImportEntry.row_id))


def counts(review: RouterImport) -> dict[str, int]:
    """How many rows each filter leaves, and under ``chosen`` how many would be written."""
    mine = RouterImportRow.import_id == review.id
    by_status = sa.select(RouterImportRow.status, sa.func.count()).where(mine).group_by(RouterImportRow.status)
    found: dict[str, int] = dict.fromkeys(SHOWS, 0)
    found |= dict(session().execute(by_status).all())
    found["all"] = sum(found.values())
    found["problems"] = _count(mine, RouterImportRow.problems.is_not(None))
    found["lists"] = _count(mine, _has_entries())
    found["chosen"] = _count(mine, RouterImportRow.include, sa.or_(RouterImportRow.status != "same", _taken(review)))
    return found


def _count(*where: sa.ColumnElement[bool] | Any) -> int:
    return session().scalar(sa.select(sa.func.count()).select_from(RouterImportRow).where(*where)) or 0


def _taken(review: RouterImport) -> sa.ColumnElement[bool]:
    """True for rows on a list that is to be taken over, or that a person has edited."""
    names = [name for name, choice in review.choices.items() if choice.get("take")]
    entries = sa.select(RouterImportEntry.row_id).where(
        RouterImportEntry.import_id == review.id, RouterImportEntry.list.in_(names)
    )
    return sa.or_(RouterImportRow.id.in_(entries), sa.cast(RouterImportRow.edited, sa.Text) != "[]")


def entries_of(row_ids: Collection[int]) -> dict[int, list[RouterImportEntry]]:
    """The entries of others on which rows stand, by row."""
    found: dict[int, list[RouterImportEntry]] = {}
    for part in parts(list(row_ids)):
        query = sa.select(RouterImportEntry).where(RouterImportEntry.row_id.in_(part)).order_by(RouterImportEntry.id)
        for entry in session().scalars(query):
            if entry.row_id is not None:
                found.setdefault(entry.row_id, []).append(entry)
    return found


def clients_of(rows: Sequence[RouterImportRow]) -> dict[int, Client]:
    """The clients that proposals are already, by id."""
    return _whole([row.client_id for row in rows if row.client_id is not None])


def zones(router: Router, scope: Scope) -> list[Zone]:
    """The zones that a proposed client may be put into."""
    return routers.zones_of(router, scope)


# Correcting ------------------------------------------------------------------------------------------


def edit(review: RouterImport, edits: Mapping[int, Mapping[str, Any]], zone_ids: Collection[int]) -> set[int]:
    """Keep what a person typed, right or wrong; returns the rows that were changed.

    ``edits`` by row: texts of TYPED, ``zone_id``, ``plan_id``, ``include``. The code of a client that is there already
    is fixed and its account is open, and a zone that is not among ``zone_ids`` (or the one that the row has) is none.
    """
    changed: set[int] = set()
    for part in parts(sorted(edits)):
        query = sa.select(RouterImportRow).where(RouterImportRow.import_id == review.id, RouterImportRow.id.in_(part))
        for row in session().scalars(query.execution_options(populate_existing=True)):
            if _edit(row, edits[row.id], zone_ids):
                changed.add(row.id)
    review.touched_at = clock.now()
    session().flush()
    return changed


def _edit(row: RouterImportRow, values: Mapping[str, Any], zone_ids: Collection[int]) -> bool:
    new: dict[str, Any] = {name: str(values[name]).strip()[:LONGEST] for name in TYPED if name in values}
    if row.client_id is not None:
        new.pop("code", None)
        new.pop("balance", None)
    new |= {name: values[name] for name in ("zone_id", "plan_id") if name in values}
    if new.get("zone_id") not in (None, row.zone_id, *zone_ids):
        new["zone_id"] = None
    differing = [name for name, value in new.items() if getattr(row, name) != value]
    for name in differing:
        setattr(row, name, new[name])
    row.edited = sorted({*row.edited, *(name.removesuffix("_id") for name in differing)})
    ticked = "include" in values and row.include != values["include"]
    if ticked:
        row.include = values["include"]
    if differing or (ticked and not row.include):
        row.problems = None
    return bool(differing) or ticked


def fill(review: RouterImport, *, zone_id: int | None = None, plan_id: int | None = None) -> int:
    """Give the zone to all new clients, the plan to all that have none yet; how many rows were changed."""
    changed = 0
    mine = RouterImportRow.import_id == review.id
    alike = {"execution_options": {"synchronize_session": False}}
    if zone_id is not None:
        new = (RouterImportRow.client_id.is_(None), RouterImportRow.zone_id.is_distinct_from(zone_id))
        changed += _update(sa.update(RouterImportRow).where(mine, *new).values(zone_id=zone_id), alike)
    if plan_id is not None:
        empty = RouterImportRow.plan_id.is_(None)
        changed += _update(sa.update(RouterImportRow).where(mine, empty).values(plan_id=plan_id), alike)
    return changed


def tick(review: RouterImport, status: str, include: bool) -> int:
    """Tick or untick all rows of a status; how many were changed."""
    where = (RouterImportRow.import_id == review.id, RouterImportRow.status == status)
    statement = sa.update(RouterImportRow).where(*where, RouterImportRow.include.is_not(include))
    return _update(statement.values(include=include), {"execution_options": {"synchronize_session": False}})


def _update(statement: sa.Update, options: Mapping[str, Any]) -> int:
    count: int = session().execute(statement, **options).rowcount  # type: ignore[attr-defined]
    session().expire_all()
    return count


def choose(review: RouterImport, choices: Mapping[str, Mapping[str, Any]], own: Collection[str]) -> None:
    """Keep what the person wants of each list: ``take`` cut, notice or nothing, and ``remove`` of what is taken over.

    Entries of a list of ours (``own``) are adopted one by one on the page of the difference, never removed from here.
    """
    names = {name for name, _entries, clients in review.lists if clients}
    review.choices = {
        name: {"take": choice["take"], "remove": bool(choice.get("remove")) and bool(name) and name not in own}
        for name, choice in choices.items()
        if name in names and choice.get("take") in TAKES
    }
    session().flush()


# Ending ----------------------------------------------------------------------------------------------


def forget(review: RouterImport) -> None:
    """Forget the rows and the entries that are not waiting to be taken off."""
    open_entries = (RouterImportEntry.import_id == review.id, RouterImportEntry.state == "")
    session().execute(sa.delete(RouterImportEntry).where(*open_entries))
    session().execute(sa.update(RouterImportEntry).where(RouterImportEntry.import_id == review.id).values(row_id=None))
    session().execute(sa.delete(RouterImportRow).where(RouterImportRow.import_id == review.id))


def discard(review: RouterImport) -> None:
    """Throw a review away; nothing was written."""
    forget(review)
    session().delete(review)
    session().flush()


def forget_old() -> int:
    """Throw away the open reviews that nobody touched for KEPT; how many."""
    old = sa.select(RouterImport).where(RouterImport.done_at.is_(None), RouterImport.touched_at < clock.now() - KEPT)
    found = list(session().scalars(old))
    for review in found:
        discard(review)
    return len(found)
