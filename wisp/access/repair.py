"""Putting right some of what differs on a router's lists: what a person ticked, and nothing else.

It takes the lease of the router's synchronisation, so that the two never write at once; orders that come meanwhile are
started when it ends. What the clients' rows say was applied is left to the next synchronisation, which reads it back.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from wisp.access import ordering, service, sync
from wisp.access.conversation import DEADLINE, Conversation, Plan
from wisp.access.domain import Add, Change, Difference
from wisp.access.models import RouterSync
from wisp.core import audit, clock
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.core.lease import LEASE
from wisp.gateway import Connection, ErrorCode, GatewayError, NewEntry, Outcome, Status, connect, menus
from wisp.routers.models import Router

LARGEST = 1000
"""Lines that can be repaired at once; a page shows fewer."""
_MARK = "|"
"""Between the parts of a line's key; no list, address or code of ours holds it."""
Key = tuple[str, str, str]
"""List, address and client's code of an entry of ours that differs."""


@dataclass(frozen=True)
class Done:
    """``repaired`` lines are as wanted now; ``gone`` were so already, or another matter by now; ``failed``: what the
    router refused, in its own words."""

    repaired: Sequence[Key]
    gone: int
    failed: Sequence[str]


def key(name: str, address: str, code: str) -> str:
    """A line as a form sends it."""
    return _MARK.join((name, address, code))


def chosen(texts: Collection[str]) -> frozenset[Key]:
    """The lines that a form names; what is no line is left out. Refused where there is none, or too many."""
    parts = [text.split(_MARK) for text in texts]
    found = frozenset((part[0], part[1], part[2]) for part in parts if len(part) == 3)
    if not found:
        raise Refused("access.nothing_ticked")
    if len(found) > LARGEST:
        raise Refused("access.too_many_ticked", limit=LARGEST)
    return found


def begin(router_id: int, owner: str) -> Plan:
    """Take the router's lease and read what is wanted. Refused where it is being synchronised at this moment."""
    service.ensure_sync(router_id)
    taken = session().scalar(
        sa.update(RouterSync)
        .where(RouterSync.router_id == router_id, ordering.unleased())
        .values(lease_owner=owner, lease_until=clock.now() + LEASE)
        .returning(RouterSync.router_id)
        .execution_options(synchronize_session=False)
    )
    if taken is None:
        raise Refused("access.busy")
    return sync.read_plan(router_id)


def end(router_id: int, owner: str) -> None:
    """Give the lease back, and start what was ordered meanwhile."""
    sync.release(router_id, owner)
    waits = sa.select(RouterSync.router_id).where(
        RouterSync.router_id == router_id, RouterSync.requested > RouterSync.done
    )
    if session().scalar(waits) is not None:
        service.enqueue_syncs_after_commit([router_id], force=False)


def work(plan: Plan, wanted: frozenset[Key]) -> Done:
    """Read the router, and send of what differs now only what is ``wanted``. Network only. Raises GatewayError."""
    if plan.target is None:
        raise GatewayError(ErrorCode.login, "unreadable")
    talk = Conversation(replace(plan, ipv6=True))
    repaired: list[Key] = []
    failed: list[str] = []
    with connect(plan.target, deadline=DEADLINE) as connection:
        talk.compare(connection)
        for found, ipv6 in ((talk.difference, False), (talk.difference6, True)):
            for line, answer in _send(connection, _only(found, wanted), ipv6):
                if answer.status in (Status.ok, Status.gone, Status.exists):
                    repaired.append((line.list, line.address, line.code))
                else:
                    failed.append(f"{line.address}: {answer.text}")
        if connection.error is not None:
            raise connection.error
    return Done(repaired, len(wanted) - len(set(repaired)) - len(failed), failed)


def _only(found: Difference, wanted: frozenset[Key]) -> Difference:
    def meant(line: Add | Change) -> bool:
        return (line.list, line.address, line.code) in wanted

    return Difference(
        [line for line in found.remove if meant(line)],
        [line for line in found.enable if meant(line)],
        [line for line in found.add if meant(line)],
    )


def _send(connection: Connection, found: Difference, ipv6: bool) -> list[tuple[Add | Change, Outcome]]:
    """Send the commands of a difference in their order; each line with the router's answer."""
    lines: list[Add | Change] = [*found.remove, *found.enable, *found.add]
    answers: list[Outcome] = []
    if found.remove:
        answers += connection.remove_entries([line.id for line in found.remove], ipv6=ipv6)
    if found.enable:
        menu = menus.LISTS6 if ipv6 else menus.LISTS
        answers += connection.set(menu, [line.id for line in found.enable], {"disabled": "no"})
    if found.add:
        entries = [NewEntry(line.list, line.address, line.comment) for line in found.add]
        answers += connection.add_entries(entries, ipv6=ipv6)
    return list(zip(lines, answers, strict=True))


def record(router: Router, done: Done) -> None:
    """A line in the audit log: which entries of ours a person had put right."""
    if done.repaired:
        shown = [" ".join(line) for line in done.repaired[:20]]
        audit.record("router.repair", f"router:{router.name}", None, {"entries": shown, "total": len(done.repaired)})
