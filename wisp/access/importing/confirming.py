"""Checking a review as the client CSV is checked, and writing it: clients, taken-over suspensions, in one transaction.

Entries of another system are not touched here. Those that a person ticked wait until ours stand: what the router has
confirmed is read when a synchronisation ends, and only then a job takes them off, one line in the audit log each.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from wisp.access import service as access
from wisp.access.importing import service
from wisp.access.importing.models import RouterImport, RouterImportEntry, RouterImportRow
from wisp.access.importing.talk import Removal, Removed
from wisp.access.models import Access
from wisp.clients import csvcheck, csvimport
from wisp.clients import networks as client_networks
from wisp.clients.csvfile import Problem, Row
from wisp.clients.models import Client, Plan
from wisp.core import audit, clock, crypto, queue
from wisp.core.db import after_commit, session
from wisp.core.scope import Scope
from wisp.invoices import service as invoices
from wisp.routers import service as routers
from wisp.routers.models import Router
from wisp.settings import service as settings

JOB = "access.import_remove"
COLUMNS = (
    "code", "name", "email", "phone", "zone", "plan", "connection", "address", "address6", "mac", "username",
    "password", "language", "balance", "state", "networks",
)  # fmt: skip
FROM_ROUTER = ("connection", "address", "address6", "mac", "username", "password")


@dataclass
class Checked:
    """What confirming would do. ``rows``: those that are ticked; ``problems`` by row and column."""

    rows: list[RouterImportRow]
    review: csvcheck.Review
    takes: dict[int, str] = field(default_factory=dict)
    problems: dict[int, dict[str, list[Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """What was written: clients added, changed and found unchanged; suspensions and notices taken over; ``no_debt``:
    clients on a list of notices who owe nothing here, so that no notice is put on; ``leaving``: entries that will be
    taken off."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    cut: int = 0
    notice: int = 0
    no_debt: int = 0
    leaving: int = 0


# Checking --------------------------------------------------------------------------------------------


def check(review: RouterImport, scope: Scope) -> Checked:
    """Check the ticked rows against what is there now, by the rules of the client CSV, and note what is wrong on each
    row."""
    query = service.rows_query(review).where(RouterImportRow.include).order_by(RouterImportRow.position)
    rows = list(session().scalars(query.execution_options(populate_existing=True)))
    takes = _takes(review, [row.id for row in rows])
    clients = _clients([row.client_id for row in rows if row.client_id])
    router = session().get_one(Router, review.router_id)
    zones = {zone.id: routers.label(zone) for zone in routers.zones(scope)}
    here = {zone.id for zone in routers.zones_of(router, scope)}
    plans = dict(session().execute(sa.select(Plan.id, Plan.name)).all())
    problems = _refused(review, rows, clients)
    further = client_networks.of(clients)
    lines = [
        Row(
            row.position,
            _cells(row, clients.get(row.client_id or 0), zones, here, plans, takes.get(row.id, ""), further),
        )
        for row in rows
        if row.position not in problems
    ]
    found = csvcheck.check_rows(COLUMNS, lines, scope)
    for problem in found.problems:
        problems.setdefault(problem.line, []).append(problem)
    checked = Checked(rows, found, takes)
    for row in rows:
        mine = {p.column: [p.reason, dict(p.values)] for p in reversed(problems.get(row.position, []))}
        checked.problems |= {row.id: mine} if mine else {}
        if row.problems != (mine or None):
            row.problems = mine or None
    session().flush()
    return checked


def _refused(
    review: RouterImport, rows: Sequence[RouterImportRow], clients: Mapping[int, Client]
) -> dict[int, list[Problem]]:
    """A new client never takes the code of one that is there, and nobody is changed who has left the router."""
    codes: set[str] = set()
    for part in service.parts([row.code for row in rows if row.client_id is None]):
        codes |= set(session().scalars(sa.select(Client.code).where(Client.code.in_(part))))
    problems: dict[int, list[Problem]] = {}
    for row in rows:
        client = clients.get(row.client_id or 0)
        if row.client_id is None and row.code in codes:
            problems[row.position] = [Problem(row.position, "code", "code_taken", {"code": row.code})]
        elif client is not None and client.router_id != review.router_id:
            problems[row.position] = [Problem(row.position, "code", "elsewhere", {"code": row.code})]
    return problems


def _clients(client_ids: Sequence[int]) -> dict[int, Client]:
    found: dict[int, Client] = {}
    for part in service.parts(client_ids):
        query = sa.select(Client).where(Client.id.in_(part)).execution_options(populate_existing=True)
        found |= {client.id: client for client in session().scalars(query)}
    return found


def _cells(
    row: RouterImportRow,
    client: Client | None,
    zones: Mapping[int, str],
    here: Collection[int],
    plans: Mapping[int, str],
    take: str,
    further: Mapping[int, Sequence[str]],
) -> dict[str, str]:
    """The row as a line of a client CSV. Of a client that is there only what the router says otherwise and what the
    person corrected is another than its present values."""
    cells = dict.fromkeys(COLUMNS, "") | {"code": row.code, "balance": row.balance}
    told = {name: getattr(row, name) for name in FROM_ROUTER if name != "password"}
    told["password"] = crypto.decrypt(row.password)
    typed = {name: getattr(row, name) for name in ("name", "email", "phone")}
    zone = zones.get(row.zone_id or 0, "") if row.zone_id in here else ""
    plan = plans.get(row.plan_id or 0, "")
    if client is None:
        return (
            cells
            | typed
            | told
            | {"networks": row.networks, "zone": zone, "plan": plan, "state": "suspended" if take == "cut" else ""}
        )
    own = {name: getattr(client, name) or "" for name in ("name", "email", "phone", *FROM_ROUTER) if name != "password"}
    cells |= own | {"zone": zones.get(client.zone_id, ""), "plan": plans.get(client.plan_id, "")}
    cells |= {name: value for name, value in told.items() if name in row.changes}
    cells["networks"] = " ".join(further.get(client.id, ()))
    if "networks" in row.changes:
        both = {*further.get(client.id, ()), *row.networks.split()} - {cells["address"], cells["address6"]}
        cells["networks"] = " ".join(sorted(both))
    cells |= {name: value for name, value in typed.items() if name in row.edited}
    if "zone" in row.edited:
        cells["zone"] = zone
    if {"plan"} & {*row.edited, *row.changes}:
        cells["plan"] = plan
    return cells


def _takes(review: RouterImport, row_ids: Sequence[int]) -> dict[int, str]:
    """Which rows stand on a list that is taken over: ``cut`` before ``notice``."""
    found: dict[int, str] = {}
    for row_id, entries in service.entries_of(row_ids).items():
        wanted = {review.choices.get(entry.list, {}).get("take") for entry in entries}
        take = next((take for take in service.TAKES if take in wanted), "")
        if take:
            found[row_id] = take
    return found


# Writing ---------------------------------------------------------------------------------------------


def confirm(review: RouterImport, scope: Scope) -> Done | None:
    """Write the ticked rows, all or nothing, and end the review; None where a row has a problem (nothing is written).

    A client on a list that is taken over is suspended for the debt that it has in the other system (``imported``): it
    may not be here yet, so no synchronisation may lift that. A notice is put on only where there is a debt.
    """
    checked = check(review, scope)
    if checked.review.problem_count or checked.problems:
        return None
    ticked = [(row.id, row.position, row.client_id) for row in checked.rows]  # the rows expire with what is written
    csvimport.apply(checked.review)
    added = {planned.line: planned.client_id for planned in checked.review.added}
    ids = {row_id: client for row_id, position, own in ticked if (client := own or added.get(position))}
    cut, notice, no_debt = _take_over(
        [own for row_id, _position, own in ticked if own and checked.takes.get(row_id) == "cut"],
        [client for row_id, client in ids.items() if checked.takes.get(row_id) == "notice"],
    )
    cut += sum(planned.state == "suspended" for planned in checked.review.added)
    leaving = _mark(review, {row: client for row, client in ids.items() if client not in no_debt})
    found = checked.review
    done = Done(len(found.added), len(found.changed), found.unchanged, cut, notice, len(no_debt), leaving)
    _finish(review, done)
    access.request_sync([review.router_id])
    return done


def _take_over(cut_ids: Collection[int], notice_ids: Collection[int]) -> tuple[int, int, set[int]]:
    """Suspend and notify clients that another system had on its lists: (cut, notified, those who owe too little for a
    notice)."""
    wanted = sorted({*cut_ids, *notice_ids})
    debts: dict[int, int] = {}
    for part in service.parts(wanted):
        table = invoices.debts(clock.now(), Client.id.in_(part))
        debts |= dict(session().execute(sa.select(table.c.client_id, table.c.open_debt)).all())
    tolerance = settings.company().tolerance
    owing = [client for client in cut_ids if debts.get(client, 0) > tolerance]
    others = [client for client in cut_ids if debts.get(client, 0) <= tolerance]
    cut = access.want_suspended(owing, reason="imported", basis="open")
    cut += access.want_suspended(others, reason="imported")
    least = max(1, settings.company().notice_minimum)
    noticed = {client for client in notice_ids if debts.get(client, 0) >= least}
    return cut, access.want_notice(noticed), {*notice_ids} - noticed


def _mark(review: RouterImport, ids: Mapping[int, int]) -> int:
    """Have the entries wait that the person ticked, of the clients that are written now; how many."""
    names = [name for name, choice in review.choices.items() if choice.get("remove")]
    if not names:
        return 0
    count = 0
    for entries in service.entries_of(list(ids)).values():
        for entry in entries:
            if entry.fixed and entry.list in names and entry.row_id is not None:
                entry.state, entry.client_id = "waiting", ids[entry.row_id]
                count += 1
    session().flush()
    return count


def _finish(review: RouterImport, done: Done) -> None:
    router = session().get_one(Router, review.router_id)
    review.done_at = review.touched_at = clock.now()
    review.added, review.changed, review.unchanged = done.added, done.changed, done.unchanged
    review.taken_over = done.cut + done.notice
    service.forget(review)
    session().flush()
    lists = {name or "disabled": choice for name, choice in review.choices.items()}
    after = {"import": review.id, "lists": lists, **{n: getattr(done, n) for n in Done.__dataclass_fields__}}
    audit.record("client.import_router", f"router:{router.name}", None, after)


# Taking off ------------------------------------------------------------------------------------------


def synced(router_id: int, report: Any, **_: Any) -> None:
    """Receiver: a synchronisation has ended. Where entries of this router wait to be taken off, look after them."""
    if report.reached and removals(router_id, settled=False):
        after_commit(lambda: _enqueue(router_id))


def _enqueue(router_id: int) -> None:
    queue.enqueue(JOB, router_id, key=f"import-remove-{router_id}")


def removals(router_id: int, *, settled: bool = True) -> list[Removal]:
    """The entries of a router that a person wants off. ``settled``: only those whose client's state the router has
    confirmed, by our own means: before, and where something of others does our work, they stay."""
    query = (
        sa.select(RouterImportEntry)
        .join(RouterImport, RouterImport.id == RouterImportEntry.import_id)
        .where(RouterImport.router_id == router_id, RouterImportEntry.state == "waiting")
        .order_by(RouterImportEntry.id)
    )
    if settled:
        query = query.join(Access, Access.client_id == RouterImportEntry.client_id).where(
            ~access.unsettled(), ~Access.foreign, Access.error == ""
        )
    return [
        Removal(entry.id, entry.list, entry.address, entry.ipv6, entry.comment) for entry in session().scalars(query)
    ]


def record(router_id: int, outcomes: Sequence[Removed]) -> None:
    """Write down how it ended for each entry; a line in the audit log for each that was taken off."""
    router = session().get_one(Router, router_id)
    for outcome in outcomes:
        waiting = (RouterImportEntry.id == outcome.number, RouterImportEntry.state == "waiting")
        values = {"state": outcome.state, "detail": outcome.detail, "settled_at": clock.now()}
        statement = sa.update(RouterImportEntry).where(*waiting).values(values).returning(RouterImportEntry)
        entry = session().scalar(statement.execution_options(synchronize_session=False, populate_existing=True))
        if entry is not None and outcome.state == "removed":
            ordered = session().get_one(RouterImport, entry.import_id).actor
            code = session().scalar(sa.select(Client.code).where(Client.id == entry.client_id))
            before = {"list": entry.list, "address": entry.address, "comment": entry.comment, "client": code}
            before["ordered_by"] = ordered
            audit.record("router.remove_entry", f"router:{router.name}", before)


def leaving(router_id: int) -> list[tuple[str, str, str]]:
    """The entries of a router that wait to be taken off: list, address and what the router last answered."""
    query = (
        sa.select(RouterImportEntry.list, RouterImportEntry.address, RouterImportEntry.detail)
        .join(RouterImport, RouterImport.id == RouterImportEntry.import_id)
        .where(RouterImport.router_id == router_id, RouterImportEntry.state == "waiting")
        .order_by(RouterImportEntry.id)
    )
    return [(name, address, detail) for name, address, detail in session().execute(query)]
