"""Use cases of bulk actions: order one, work it off step by step, undo it, show what it did."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import sqlalchemy as sa

from wisp.bulk.action import BulkAction, Change, Found, Values, get
from wisp.bulk.models import BulkChange, BulkRun
from wisp.clients.models import Client
from wisp.core import audit, clock
from wisp.core.audit import AuditEntry
from wisp.core.db import Rows, insert_into, session
from wisp.core.errors import Refused
from wisp.core.scope import EVERYTHING, Scope
from wisp.routers.models import Zone

STEP = 50
"""Changes in one transaction: whoever else writes waits for no more than these on SQLite."""
LISTED = 500
"""Changes of a complete list in memory at a time."""
ABANDONED = timedelta(minutes=2)
"""A run that nobody has touched for so long is taken up again: its worker was killed, or its job lost."""
OPEN = ("queued", "running", "undoing")


def order(action: BulkAction, values: Values, token: str, scope: Scope = EVERYTHING) -> BulkRun:
    """A queued run. The same ``token`` (a form sent twice) is the same run. Refused("bulk.token") where it was used
    for something else."""
    reach, now = action.reach(values, scope), clock.now()
    new_id = session().scalar(
        insert_into(BulkRun)
        .values(
            token=token,
            action=action.key,
            choices=values,
            zone_ids=None if scope.zone_ids is None else sorted(scope.zone_ids),
            state="queued",
            actor=audit.actor().name,
            created_at=now,
            touched_at=now,
            expected=reach.changes,
            zones=reach.zones,
            clients=reach.clients,
        )
        .on_conflict_do_nothing(index_elements=["token"])
        .returning(BulkRun.id)
    )
    if new_id is not None:
        audit.record("bulk.order", f"bulk:{new_id}", None, {"action": action.key, **values})
        return session().get_one(BulkRun, new_id)
    known = session().scalars(sa.select(BulkRun).where(BulkRun.token == token)).one()
    if (known.action, known.choices, known.actor) != (action.key, values, audit.actor().name):
        raise Refused("bulk.token")
    return known


def step(run_id: int) -> bool:
    """Work off the next part of a run or of its undo; False where nothing is left.

    May be called by several workers at once: the run is locked, and the cursor is written with what was changed.
    """
    run = session().get(BulkRun, run_id, with_for_update=True, populate_existing=True)
    if run is None or run.state not in OPEN:
        return False
    run.touched_at = clock.now()
    if run.state == "undoing":
        return _undo_step(run)
    run.state = "running"
    action, scope = get(run.action), Scope(None if run.zone_ids is None else frozenset(run.zone_ids))
    targets = action.targets(run.choices, scope)
    column = targets.selected_columns[0]
    ids = session().scalars(targets.where(column > run.cursor).order_by(column).limit(STEP)).all()
    with _acting_as(run.actor):
        changes = action.apply(run.choices, ids)
        _keep(run, changes)
    if len(ids) == STEP:
        run.cursor = ids[-1]
        return True
    run.state, run.finished_at = "done", clock.now()
    session().flush()
    return False


@contextmanager
def _acting_as(name: str) -> Iterator[None]:
    """Whoever ordered the run is who changed things, also where a worker does it."""
    before = audit.actor()
    audit.act_as(before if before.name == name else audit.Actor(name))
    try:
        yield
    finally:
        audit.act_as(before)


def _keep(run: BulkRun, changes: Sequence[Change]) -> None:
    """Write down what was changed, with the earlier values."""
    failed = sum(change.failed for change in changes)
    run.changed += len(changes) - failed
    run.failed += failed
    for change in changes:
        found = change.found
        session().add(
            BulkChange(
                run_id=run.id,
                target=found.target,
                zone_id=found.zone_id,
                client_id=found.client_id,
                subject=found.subject,
                before=found.value,
                after=change.after,
                outcome="failed" if change.failed else "",
            )
        )
    session().flush()


def undo(run_id: int) -> BulkRun:
    """Begin to put back what a run has changed. Refused("bulk.not_done") for one that is not done or was undone."""
    run = session().get_one(BulkRun, run_id, with_for_update=True, populate_existing=True)
    if run.state != "done":
        raise Refused("bulk.not_done")
    run.state, run.cursor, run.touched_at = "undoing", 0, clock.now()
    run.undone_by, run.undone_at = audit.actor().name, clock.now()
    audit.record("bulk.undo", f"bulk:{run.id}", {"state": "done"}, {"state": "undoing"})
    session().flush()
    return run


def _undo_step(run: BulkRun) -> bool:
    query = sa.select(BulkChange).where(
        BulkChange.run_id == run.id, BulkChange.target > run.cursor, BulkChange.outcome == ""
    )
    changes = session().scalars(query.order_by(BulkChange.target).limit(STEP)).all()
    with _acting_as(run.undone_by):
        action = get(run.action)
        outcomes = action.undo(changes, partial(_touched, run, action))
        for change in changes:
            change.outcome = outcomes[change.target]
        session().flush()
    run.restored += sum(outcome == "restored" for outcome in outcomes.values())
    run.kept += sum(outcome == "kept" for outcome in outcomes.values())
    if len(changes) == STEP:
        run.cursor = changes[-1].target
        return True
    run.state = "undone"
    session().flush()
    return False


def _touched(run: BulkRun, action: BulkAction, found: Collection[Found]) -> set[int]:
    """The targets that somebody has changed since ``run``, as the audit log tells: also those changed back again.

    One change of each is the run's own; those of later bulk actions that were undone leave everything as it was.
    """
    trails = {found_one.target: action.trail(found_one) for found_one in found}
    if not trails:
        return set()
    ordered = sa.select(sa.func.min(AuditEntry.id)).where(
        AuditEntry.action == "bulk.order", AuditEntry.target == f"bulk:{run.id}"
    )
    names = {trail.target: target for target, trail in trails.items()}
    some = next(iter(trails.values()))
    entries = session().execute(
        sa.select(AuditEntry.target, AuditEntry.after).where(
            AuditEntry.target.in_(names), AuditEntry.action == some.action, AuditEntry.id > ordered.scalar_subquery()
        )
    )
    changes = Counter(names[target] for target, after in entries if some.name in (after or {}))
    later = session().execute(
        sa.select(BulkChange.target, BulkChange.outcome)
        .join(BulkRun, BulkRun.id == BulkChange.run_id)
        .where(BulkRun.action == run.action, BulkRun.id > run.id, BulkChange.target.in_(trails))
    )
    for target, outcome in later:
        changes[target] -= {"failed": 0, "restored": 2}.get(outcome, 1)
    return {target for target, count in changes.items() if count > 1}


def everything(action: BulkAction, values: Values, scope: Scope) -> Iterator[tuple[Change, Zone, Client | None]]:
    """All changes that an action would make, in the order of their targets, a part in memory at a time."""
    query, last = action.targets(values, scope), 0
    column = query.selected_columns[0]
    while ids := session().scalars(query.where(column > last).order_by(column).limit(LISTED)).all():
        last = ids[-1]
        yield from owners([Change(found, action.wanted(values, found)) for found in action.look(ids)])


def abandoned() -> list[int]:
    """Runs that somebody must take up again."""
    old = clock.since(BulkRun.touched_at, ABANDONED)
    return list(session().scalars(sa.select(BulkRun.id).where(BulkRun.state.in_(OPEN), old)))


def visible(scope: Scope) -> "sa.Select[BulkRun]":
    """The runs that somebody limited to ``scope`` may see: those that changed nothing outside."""
    query = sa.select(BulkRun)
    if scope.zone_ids is None:
        return query
    outside = sa.select(BulkChange.run_id).where(
        BulkChange.run_id == BulkRun.id, BulkChange.zone_id.not_in(scope.zone_ids)
    )
    return query.where(~outside.exists(), BulkRun.zone_ids.is_not(None))


def find(run_id: int, scope: Scope = EVERYTHING) -> BulkRun:
    """The run with that id inside ``scope``. Refused("bulk.no_run")."""
    run = session().scalar(visible(scope).where(BulkRun.id == run_id))
    if run is None:
        raise Refused("bulk.no_run", id=run_id)
    return run


def changes_of(run_id: int, outcome: str = "") -> Rows:
    """(BulkChange, Zone, Client|None) of a run; ``outcome`` narrows it."""
    query: Rows = (
        sa.select(BulkChange, Zone, Client)
        .join(Zone, Zone.id == BulkChange.zone_id)
        .outerjoin(Client, Client.id == BulkChange.client_id)
        .where(BulkChange.run_id == run_id)
    )
    return query.where(BulkChange.outcome == outcome) if outcome else query


def owners(changes: Sequence[Change]) -> list[tuple[Change, Zone, Client | None]]:
    """The zone and the client of each change of a preview."""
    zones = {z.id: z for z in session().scalars(sa.select(Zone).where(Zone.id.in_({c.found.zone_id for c in changes})))}
    ids = {c.found.client_id for c in changes if c.found.client_id}
    clients = {c.id: c for c in session().scalars(sa.select(Client).where(Client.id.in_(ids)))}
    return [(c, zones[c.found.zone_id], clients.get(c.found.client_id or 0)) for c in changes]
