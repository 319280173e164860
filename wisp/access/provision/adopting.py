"""Making objects of somebody else ours, because a person says so: some clients', or those of a whole import."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from wisp.access.provision import service, work
from wisp.access.provision.comparing import Row
from wisp.access.provision.talk import DEADLINE, Plan, Talk
from wisp.access.provision.wanted import MARK
from wisp.clients.models import Client
from wisp.core import audit
from wisp.core.db import session
from wisp.gateway import Command, ErrorCode, GatewayError, Status, connect
from wisp.routers.models import Router

LARGEST = 1_000
"""Clients that are dealt with at once."""


@dataclass(frozen=True)
class Taken:
    """An object that is ours now: where it stands, and the row as it was."""

    menu: str
    row: Row


@dataclass
class Adopted:
    """How it ended, by client: ``taken``; ``gone``, where nothing of others stands (any more); ``failed`` with what the
    router answered."""

    taken: dict[int, Taken] = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)


def plan(router: Router, clients: Sequence[Client]) -> Plan:
    """What is needed to look at what stands in the place of these clients of the router."""
    return work.plan_for(router, work.claims_of(router, clients))


def adopt(plan: Plan) -> Adopted:
    """Write our mark on what stands in each client's place, and nothing else. Network only.

    Raises GatewayError where the router could not be read, or where the connection broke and not every answer came:
    the next look says then what is ours.
    """
    if plan.target is None:
        raise GatewayError(ErrorCode.login, "unreadable")
    talk, result, wanted = Talk(plan), Adopted(), []
    with connect(plan.target, deadline=DEADLINE) as connection:
        talk.look(connection)
        for claim in plan.claims:
            verdict = talk.difference.verdicts[claim.client_id]
            if verdict.state != "foreign" or claim.need is None or claim.need.object is None:
                result.gone.append(claim.client_id)
            else:
                wanted.append((claim, verdict.foreign, claim.need.object.comment))
        answers = connection.run(
            [Command(f"{claim.menu}/set", {".id": row_id, "comment": comment}) for claim, row_id, comment in wanted]
        )
        rows = {(menu, row[".id"]): row for menu, table in talk.tables.items() for row in table or ()}
        for (claim, row_id, _comment), answer in zip(wanted, answers, strict=True):
            if answer.status is Status.ok:
                result.taken[claim.client_id] = Taken(claim.menu, rows[claim.menu, row_id])
            elif answer.status is not Status.unknown:
                result.failed[claim.client_id] = answer.text
        if connection.error is not None and not result.taken:
            raise connection.error
    return result


def record(router: Router, adopted: Adopted) -> None:
    """A line in the audit log for each object with what it was, and the order to make them what the clients need."""
    ids = list(adopted.taken)
    for client_id, code in session().execute(sa.select(Client.id, Client.code).where(Client.id.in_(ids))).all():
        taken = adopted.taken[client_id]
        row = taken.row
        values = " ".join(
            f"{name}={value}" for name, value in row.items() if name not in (".id", "password", "comment")
        )
        audit.record(
            "router.adopt_object",
            f"router:{router.name}",
            {"comment": row.get("comment", ""), "object": f"{taken.menu} {values}"},
            {"comment": MARK + code, "object": taken.menu},
        )
    service.write_clients(router.id, ids)
