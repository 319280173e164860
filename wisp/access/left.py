"""Levers as the database remembers them: what is to be put back on a router, of clients who are there and who were."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from wisp.access.levers import Lever
from wisp.access.models import Access, AccessLeftover
from wisp.access.plan import Left, Record
from wisp.clients.models import Client
from wisp.core.db import session, update_each

_CHUNK = 500


def of_router(router_id: int) -> list[Left]:
    """What clients have left behind on a router, the oldest first."""
    query = (
        sa.select(AccessLeftover, Client.code)
        .join(Client, Client.id == AccessLeftover.client_id)
        .where(AccessLeftover.router_id == router_id)
        .order_by(AccessLeftover.id)
    )
    return [_as_left(row, code) for row, code in session().execute(query)]


def _as_left(row: AccessLeftover, code: str = "") -> Left:
    return Left(row.id, row.client_id, Lever(row.lever, row.name, row.before), code)


def leave(router_id: int, client_id: int, lever: Lever) -> AccessLeftover:
    """Note that a client has left this behind on a router."""
    row = AccessLeftover(
        router_id=router_id, client_id=client_id, lever=lever.kind, name=lever.name, before=lever.before
    )
    session().add(row)
    return row


def forget(router_id: int, ids: Collection[int]) -> None:
    """The router has nothing of these any more."""
    session().execute(
        sa.delete(AccessLeftover)
        .where(AccessLeftover.router_id == router_id, AccessLeftover.id.in_(ids))
        .execution_options(synchronize_session=False)
    )


def values_of(lever: Lever) -> dict[str, object]:
    """The columns of Access that remember a lever."""
    return {"lever": lever.kind, "lever_name": lever.name, "lever_before": lever.before}


def write_down(router_id: int, records: Sequence[Record]) -> list[Left]:
    """Write levers down before they are moved, so that nothing that ends us in between loses what was there before.

    What then stands was made so by us: the version counts as sent. Returns what is to be put back here: what these
    levers take the place of, and levers of clients who are on another router by now.
    """
    rows = _rows([record.client_id for record in records])
    left: list[AccessLeftover] = []
    changes: list[dict[str, object]] = []
    for record in records:
        row, new = rows[record.client_id], record.lever
        if row.router_id != router_id:
            left.append(leave(router_id, record.client_id, new))
            continue
        old = Lever(row.lever, row.lever_name, row.lever_before)
        if old.kind and old.place != new.place:
            left.append(leave(router_id, record.client_id, old))
        changes.append({"client_id": record.client_id, **values_of(new), "sent_version": record.version})
    update_each(Access, changes, by=["client_id"])
    session().flush()
    return [_as_left(row) for row in left]


def _rows(client_ids: Sequence[int]) -> dict[int, sa.Row[Any]]:
    found: dict[int, sa.Row[Any]] = {}
    columns = (Access.client_id, Access.router_id, Access.lever, Access.lever_name, Access.lever_before)
    for at in range(0, len(client_ids), _CHUNK):
        query = sa.select(*columns).where(Access.client_id.in_(client_ids[at : at + _CHUNK]))
        found |= {row.client_id: row for row in session().execute(query.order_by(Access.client_id).with_for_update())}
    return found


def leave_all(client_ids: Sequence[int]) -> None:
    """These clients go to another router: what holds them on the present one (``router_id``) is left behind there."""
    for row in _rows(client_ids).values():
        if row.lever:
            leave(row.router_id, row.client_id, Lever(row.lever, row.lever_name, row.lever_before))
    for at in range(0, len(client_ids), _CHUNK):
        session().execute(
            sa.update(Access)
            .where(Access.client_id.in_(client_ids[at : at + _CHUNK]), Access.lever != "")
            .values(values_of(Lever()))
            .execution_options(synchronize_session=False)
        )
