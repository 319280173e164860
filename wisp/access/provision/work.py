"""One chunk of the work at a router, as the database sees it: claim and plan before the talking, record after it."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from wisp.access import ordering, sync
from wisp.access import service as access
from wisp.access.domain import pause
from wisp.access.models import Access, AccessLeftover, ClientProvision, RouterProvision, RouterSync
from wisp.access.provision import comparing, service
from wisp.access.provision.comparing import Claim, Verdict
from wisp.access.provision.talk import Plan, Result
from wisp.access.provision.wanted import MENU, PROFILES, Service, need
from wisp.clients.models import Client
from wisp.clients.models import Plan as Tariff
from wisp.core import clock, crypto
from wisp.core.crypto import SecretUnreadable
from wisp.core.db import after_commit, session
from wisp.core.lease import LEASE
from wisp.gateway import Target
from wisp.routers import health
from wisp.routers import service as routers
from wisp.routers.models import Router

CHUNK = 300
"""Clients on one connection; between two of them others may have the router."""
LASTING = ("no_password", "no_username", "no_mac", "held")
"""Reasons that only a change of the client, or of its suspension, can mend: they are not tried again by themselves."""
_table = cast(sa.Table, ClientProvision.__table__)


@dataclass(frozen=True)
class Row:
    """A client of the chunk: its row's version, kind and mark before, and what they become."""

    client_id: int
    version: int
    kind: str
    connection: str
    mark: str
    digest: str


@dataclass(frozen=True)
class Task:
    """A chunk. ``order``: the number that the round began with; ``last``: nothing is left after it; ``whole``: the
    order to compare everything that it deals with (0: none). ``plan`` None: there is nothing to talk about."""

    router_id: int
    order: int
    last: bool
    whole: int
    rows: Sequence[Row]
    plan: Plan | None

    @property
    def cursor(self) -> int:
        """The client after whom the next chunk begins."""
        return self.rows[-1].client_id if self.rows else 0


def begin(router_id: int, owner: str, *, force: bool, after: int = 0, order: int = 0) -> Task | None:
    """Take the router's lease and plan the next chunk: clients behind ``after``, in the round of ``order`` (0: a new
    one). None where there is nothing to do, a pause runs (unless ``force``), or somebody else is at the router."""
    now = clock.now()
    row = session().get(RouterProvision, router_id, populate_existing=True)
    router = session().get(Router, router_id, populate_existing=True)
    if row is None or router is None or router.archived_at is not None or not router.provision:
        return None
    if not order:
        rested = force or row.next_attempt_at is None or clock.due(row.next_attempt_at, service.LONGEST_PAUSE)
        if not rested or (row.requested <= row.done and row.next_attempt_at is None):
            return None
    if not _claim(router_id, owner, now):
        return None
    found = _open_rows(router_id, after)
    last = len(found) <= CHUNK
    whole = row.whole if last and row.whole > row.whole_done else 0
    if not order and row.counted != row.requested:
        row.counted, row.added, row.changed, row.removed, row.unchanged = row.requested, 0, 0, 0, 0
        session().flush()
    rows, claims = _claims(router, found[:CHUNK])
    plan = _plan(router, rows, claims, bool(whole)) if claims or whole else None
    return Task(router_id, order or row.requested, last, whole, rows, plan)


def _claim(router_id: int, owner: str, now: datetime) -> bool:
    access.ensure_sync(router_id)
    free = sa.or_(ordering.unleased(now), RouterSync.lease_owner == owner)
    got = session().scalar(
        sa.update(RouterSync)
        .where(RouterSync.router_id == router_id, free)
        .values(lease_owner=owner, lease_until=now + LEASE)
        .returning(RouterSync.router_id)
        .execution_options(synchronize_session=False)
    )
    return got is not None


def _open_rows(router_id: int, after: int) -> list[Any]:
    query = (
        sa.select(ClientProvision, Client, Tariff, Access.lever)
        .join(Client, Client.id == ClientProvision.client_id)
        .join(Tariff, Tariff.id == Client.plan_id)
        .outerjoin(Access, sa.and_(Access.client_id == Client.id, Access.router_id == router_id))
        .where(
            ClientProvision.router_id == router_id,
            ClientProvision.wanted_version != ClientProvision.applied_version,
            ClientProvision.client_id > after,
            ~_not_replaced(),
        )
        .order_by(ClientProvision.client_id)
        .limit(CHUNK + 1)
    )
    return list(session().execute(query.execution_options(populate_existing=True)))


def _not_replaced() -> sa.ColumnElement[bool]:
    """True for rows of clients who moved to another router, while what they have here is not there yet: it may be the
    only copy of a password, and the only way by which the client has service. Where nothing is written to the new
    router, what has a password that is not known stays.
    """
    moved, there, new = aliased(Client), aliased(Router), aliased(ClientProvision)
    written = sa.and_(new.state.in_(("done", "foreign")), new.applied_version == new.wanted_version)
    unknown = sa.and_(moved.connection.in_(("pppoe", "hotspot")), moved.password == "")
    query = (
        sa.select(moved.id)
        .join(there, there.id == moved.router_id)
        .outerjoin(new, sa.and_(new.client_id == moved.id, new.router_id == moved.router_id))
        .where(
            moved.id == ClientProvision.client_id,
            moved.router_id != ClientProvision.router_id,
            moved.cancelled_at.is_(None),
            sa.or_(
                sa.and_(there.provision, sa.func.coalesce(sa.not_(written), sa.true())),
                sa.and_(~there.provision, unknown),
            ),
        )
    )
    return query.exists()


def _claims(router: Router, found: Sequence[Any]) -> tuple[list[Row], list[Claim]]:
    rows, claims = [], []
    for provision, client, tariff, lever in found:
        digest = hashlib.sha256(client.password.encode()).hexdigest() if client.password else ""
        fresh = digest not in ("", provision.mark)
        version, kind, mark = provision.wanted_version, provision.kind, provision.mark
        rows.append(Row(client.id, version, kind, client.connection, mark, digest))
        here = client.router_id == router.id and client.cancelled_at is None
        wanted = None
        if here:
            bases = {"ppp_base": router.ppp_base, "hotspot_base": router.hotspot_base}
            wanted = need(_service(client, tariff, lever or "", fresh), **bases)
        claims.append(Claim(client.id, client.code, MENU[client.connection], wanted))
    return rows, claims


def claims_of(router: Router, clients: Sequence[Client]) -> list[Claim]:
    """These clients as claims, whatever their rows say."""
    ids = [client.id for client in clients]
    query = sa.select(Access.client_id, Access.lever).where(Access.client_id.in_(ids))
    levers = dict(session().execute(query).all())
    bases = {"ppp_base": router.ppp_base, "hotspot_base": router.hotspot_base}
    return [
        Claim(
            client.id, client.code, MENU[client.connection],
            need(_service(client, client.plan, levers.get(client.id, ""), False), **bases),
        )
        for client in clients
    ]  # fmt: skip


def _service(client: Client, tariff: Tariff, lever: str, fresh: bool) -> Service:
    return Service(
        code=client.code, connection=client.connection, plan_id=client.plan_id, address=client.address or None,
        address6=client.address6, mac=client.mac, username=client.username, password=_password(client), fresh=fresh,
        up=tariff.up, down=tariff.down, profile=tariff.router_profile, lever=lever,
    )  # fmt: skip


def _password(client: Client) -> str | None:
    """The client's password; None where there is none, or it was stored with another key."""
    try:
        return crypto.decrypt(client.password) or None
    except SecretUnreadable:
        return None


def _plan(router: Router, rows: Sequence[Row], claims: Sequence[Claim], whole: bool) -> Plan:
    places = set(MENU.values()) if whole else set()
    left: dict[str, set[str]] = {}
    for row, claim in zip(rows, claims, strict=True):
        places |= comparing.menus_of(row.connection, row.kind)
        if claim.need is None and MENU[row.connection] in PROFILES:
            left.setdefault(MENU[row.connection], set()).add(claim.code)
    return Plan(
        router.id, target_of(router), claims, sorted(places), _kept(router.id), _users(left),
        _everybody(router.id) if whole else None,
    )  # fmt: skip


def plan_for(router: Router, claims: Sequence[Claim]) -> Plan:
    """What is needed to look at these clients' objects."""
    return Plan(router.id, target_of(router), claims, sorted({claim.menu for claim in claims}), _kept(router.id))


def target_of(router: Router) -> Target | None:
    """Where to reach the router; None where its password cannot be read."""
    try:
        return routers.target(router)
    except SecretUnreadable:
        return None


def _kept(router_id: int) -> frozenset[str]:
    """Profiles that users are to get back when their lever is let go."""
    now = sa.select(Access.lever_before).where(Access.router_id == router_id, Access.lever == "profile")
    left = sa.select(AccessLeftover.before).where(
        AccessLeftover.router_id == router_id, AccessLeftover.lever == "profile"
    )
    return frozenset(session().scalars(sa.union(now, left)))


def _users(left: dict[str, set[str]]) -> dict[str, frozenset[str]]:
    """The users of clients who left, by menu."""
    found: dict[str, frozenset[str]] = {}
    for menu, codes in left.items():
        names = session().scalars(sa.select(Client.username).where(Client.code.in_(codes), Client.username != ""))
        found[menu] = frozenset(names)
    return found


def _everybody(router_id: int) -> dict[str, str]:
    query = sa.select(Client.code, Client.connection).where(
        Client.router_id == router_id, Client.cancelled_at.is_(None)
    )
    found = {code: MENU[connection] for code, connection in session().execute(query)}
    kept = (
        sa.select(Client.code, Client.connection)
        .join(ClientProvision, ClientProvision.client_id == Client.id)
        .where(ClientProvision.router_id == router_id, Client.router_id != router_id, _not_replaced())
    )
    return found | {code: MENU[connection] for code, connection in session().execute(kept)}


# Recording -------------------------------------------------------------------------------------------


def record(task: Task, result: Result, owner: str) -> bool:
    """Write down what the router answered, and give the lease back. True where the next chunk is due at once.

    Raises LeaseLost. Where the synchronisation of the router waits, it goes first and the rest is enqueued behind it.
    """
    # Rows are locked in the order in which saving a client does it: its access, the synchronisation, what it has.
    _remember_profiles(task, result)
    sync.renew(task.router_id, owner)
    row = session().get_one(RouterProvision, task.router_id, populate_existing=True)
    if result.reached:
        _store(task, result)
        row.added, row.changed = row.added + result.added, row.changed + result.changed
        row.removed, row.unchanged = row.removed + result.removed, row.unchanged + _unchanged(task, result)
        if task.last:
            _finish(row, task)
    else:
        _not_reached(row, result)
    session().flush()
    sync.release(task.router_id, owner)
    more = result.reached and not task.last
    waits = _sync_waits(task.router_id)
    if waits:
        access.enqueue_syncs_after_commit([task.router_id], force=True)
    if more and waits:
        after_commit(lambda: service.go_on(task.router_id, task.cursor, task.order))
    elif result.reached and task.last and row.requested > task.order:
        service.enqueue([task.router_id], force=True)
    return more and not waits


def _unchanged(task: Task, result: Result) -> int:
    """Clients whose object was read as wanted."""
    if task.plan is None:
        return 0
    return sum(
        claim.need is not None
        and claim.need.object is not None
        and result.verdicts[claim.client_id].state == "done"
        and claim.client_id not in result.written
        for claim in task.plan.claims
    )


def _sync_waits(router_id: int) -> bool:
    ordered = sa.and_(RouterSync.requested > RouterSync.done, ordering.rested())
    return (
        session().scalar(sa.select(RouterSync.router_id).where(RouterSync.router_id == router_id, ordered)) is not None
    )


def _finish(row: RouterProvision, task: Task) -> None:
    """The round is over. What the router refused, or does not have yet, is tried again after a pause."""
    now = clock.now()
    row.done, row.provisioned_at, row.error, row.error_detail = task.order, now, "", ""
    if task.whole:
        row.whole_done = task.whole
    again = session().scalar(
        sa.select(ClientProvision.client_id)
        .where(
            ClientProvision.router_id == task.router_id,
            ClientProvision.wanted_version != ClientProvision.applied_version,
            ClientProvision.state.in_(("failed", "waiting")),
        )
        .limit(1)
    )
    if again is None:
        row.attempts, row.next_attempt_at = 0, None
    else:
        row.attempts += 1
        row.next_attempt_at = _later(min(service.LONGEST, 60 * 2 ** min(row.attempts - 1, 10)))


def _not_reached(row: RouterProvision, result: Result) -> None:
    if not result.logged_in:
        health.record(row.router_id, health.Health(error=result.error, detail=result.detail), clock.now())
    row.attempts += 1
    row.error, row.error_detail = result.error[:16], result.detail[:500]
    row.next_attempt_at = _later(pause(row.attempts))


def _later(seconds: float) -> datetime:
    spread = 1 + service.JITTER * random.random()  # noqa: S311  (spreads the load, keeps no secret)
    return clock.now() + timedelta(seconds=seconds * spread)


def _store(task: Task, result: Result) -> None:
    """Each client's row as it was answered. A change since it was read stays open."""
    if task.plan is None:
        return
    now, changes, gone = clock.now(), [], []
    for row, claim in zip(task.rows, task.plan.claims, strict=True):
        verdict = result.verdicts[row.client_id]
        if claim.need is None and verdict.state == "done":
            gone.append({"b_client": row.client_id, "b_version": row.version})
        else:
            changes.append({"b_client": row.client_id, **_values(row, verdict), "applied_at": now})
    mine = sa.and_(_table.c.client_id == sa.bindparam("b_client"), _table.c.router_id == task.router_id)
    if changes:
        names = [name for name in changes[0] if name != "b_client"]
        statement = sa.update(_table).where(mine).values({name: sa.bindparam(name) for name in names})
        session().connection().execute(statement, changes)
    if gone:
        unchanged = _table.c.wanted_version == sa.bindparam("b_version")
        session().connection().execute(sa.delete(_table).where(mine, unchanged), gone)
    session().expire_all()
    _clear_old_places(task, result)
    _look_at_lists(task, result)


def _clear_old_places(task: Task, result: Result) -> None:
    """What clients who came from another router have there may go now."""
    here = [client_id for client_id, verdict in result.verdicts.items() if verdict.state in ("done", "foreign")]
    old = sa.select(ClientProvision.router_id).where(
        ClientProvision.client_id.in_(here),
        ClientProvision.router_id != task.router_id,
        ClientProvision.wanted_version != ClientProvision.applied_version,
    )
    routers = session().scalars(old.distinct()).all()
    if routers:  # later: two routers that ask for one another must not wait for each other's rows
        after_commit(lambda: service.go_on_at(routers))


def _values(row: Row, verdict: Verdict) -> dict[str, Any]:
    open_still = verdict.state in ("failed", "waiting") and verdict.detail not in LASTING
    failed = verdict.state == "failed"
    given = verdict.state in ("done", "waiting")
    return {
        # An older version than the one that was read: the row stays open.
        "applied_version": row.version - 1 if open_still else row.version,
        "state": verdict.state,
        "detail": verdict.detail[:500],
        "kind": row.kind if failed and row.kind else row.connection,
        "mark": row.digest if given else row.mark,
    }


def _remember_profiles(task: Task, result: Result) -> None:
    """The profile that a user gets back when its lever is let go is the one of its present plan."""
    if not result.reached:
        return
    changes = [
        {"b_client": client_id, "b_profile": verdict.held_profile}
        for client_id, verdict in result.verdicts.items()
        if verdict.held_profile
    ]
    if changes:
        table = cast(sa.Table, Access.__table__)
        session().connection().execute(
            sa.update(table)
            .where(
                table.c.client_id == sa.bindparam("b_client"), table.c.router_id == task.router_id,
                table.c.lever == "profile", table.c.lever_before != sa.bindparam("b_profile"),
            )
            .values(lever_before=sa.bindparam("b_profile")),
            changes,
        )  # fmt: skip


def _look_at_lists(task: Task, result: Result) -> None:
    """Somebody who is cut or notified has a new object: the synchronisation sees to it that the new one is held too."""
    if result.written and session().scalar(
        sa.select(Access.client_id)
        .where(Access.client_id.in_(result.written), sa.or_(Access.suspended, Access.notice))
        .limit(1)
    ):
        access.request_sync([task.router_id])
