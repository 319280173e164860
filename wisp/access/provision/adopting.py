"""Making an object of somebody else ours, one at a time, because a person says so."""

from dataclasses import dataclass

from wisp.access.provision import service, work
from wisp.access.provision.comparing import Row
from wisp.access.provision.talk import DEADLINE, Plan, Talk
from wisp.access.provision.wanted import MARK
from wisp.clients.models import Client
from wisp.core import audit
from wisp.core.errors import Refused
from wisp.gateway import ErrorCode, GatewayError, Status, connect
from wisp.routers.models import Router


@dataclass(frozen=True)
class Wish:
    """A client whose object somebody else's is to become, and what is needed to look at it."""

    client_id: int
    plan: Plan


def wish(router: Router, client: Client) -> Wish:
    """What is needed to adopt what stands in a client's place."""
    return Wish(client.id, work.plan_for(router, work.claim_of(router, client)))


def adopt(wish: Wish) -> Row:
    """Write our mark on what stands in the client's place, and nothing else; the row as it was. Network only.

    Raises GatewayError, and Refused("access.not_foreign") where nothing of others stands there any more.
    """
    if wish.plan.target is None:
        raise GatewayError(ErrorCode.login, "unreadable")
    claim = wish.plan.claims[0]
    talk = Talk(wish.plan)
    with connect(wish.plan.target, deadline=DEADLINE) as connection:
        talk.look(connection)
        verdict = talk.difference.verdicts[wish.client_id]
        if verdict.state != "foreign" or claim.need is None or claim.need.object is None:
            raise Refused("access.not_foreign")
        rows = talk.tables[claim.menu] or []
        row = next(row for row in rows if row[".id"] == verdict.foreign)
        answer = connection.set(claim.menu, [verdict.foreign], {"comment": claim.need.object.comment})[0]
        if connection.error is not None:
            raise connection.error
        if answer.status is not Status.ok:
            raise GatewayError(answer.code or ErrorCode.trap, answer.text)
        return row


def record(router: Router, client: Client, menu: str, row: Row) -> None:
    """A line in the audit log with what it was, and the order to make it what the client needs."""
    values = " ".join(f"{name}={value}" for name, value in row.items() if name not in (".id", "password", "comment"))
    audit.record(
        "router.adopt_object",
        f"router:{router.name}",
        {"comment": row.get("comment", ""), "object": f"{menu} {values}"},
        {"comment": MARK + client.code, "object": menu},
    )
    service.write_client(client)
