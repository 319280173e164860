"""The outbox's use cases and queries: putting messages in, holding, releasing and sending again, listing, counting."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVarTuple

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from wisp.core import audit, clock, queue
from wisp.core.db import UTCDateTime, after_commit, insert_into, session
from wisp.core.errors import Refused
from wisp.core.lease import LEASE
from wisp.core.scope import EVERYTHING, Scope
from wisp.outbox import domain, kinds
from wisp.outbox.models import STATES, UNSENT, Message
from wisp.settings.service import company

DELIVER = "outbox.deliver"
OVER = ("void", "gone", "link_over", "bad_address")
"""Errors of messages that would fail again, whatever the mail server says."""
_COPIED = ("kind", "priority", "invoice_id", "run_id", "payment_id", "client_id", "recipient", "language", "data")
Ts = TypeVarTuple("Ts")
_client = sa.table("client", sa.column("id"), sa.column("code"), sa.column("name"), sa.column("zone_id"))


def queue_message(
    kind: str,
    recipient: str,
    *,
    language: str = "es",
    data: dict[str, Any] | None = None,
    invoice_id: int | None = None,
    run_id: int | None = None,
    payment_id: int | None = None,
    client_id: int | None = None,
    sequence: int = 0,
) -> Message | None:
    """Put one e-mail into the outbox, in the present transaction; None where the same one (invoice or payment, kind,
    sequence) is there already. Call ``request_delivery()`` after it. ValueError for an empty recipient."""
    if not recipient.strip():
        raise ValueError("a message without a recipient")
    now = clock.now()
    statement = (
        insert_into(Message)
        .values(
            kind=kind,
            recipient=recipient.strip(),
            language=language,
            data=data,
            invoice_id=invoice_id,
            run_id=run_id,
            payment_id=payment_id,
            client_id=client_id,
            sequence=sequence,
            priority=kinds.priority(kind),
            state="pending",
            created_at=now,
            next_attempt_at=now,
        )
        .on_conflict_do_nothing()
        .returning(Message.id)
    )
    made = session().scalar(statement)
    return None if made is None else session().get_one(Message, made)


def alert(kind: str, data: dict[str, Any], run_id: int | None = None) -> list[Message]:
    """One message of ``kind`` to each alert address of the company, in its language; asks for delivery.

    Empty where the company has set no address.
    """
    firm = company()
    made = [
        queue_message(kind, address, language=firm.language, data=data, run_id=run_id)
        for address in domain.addresses(firm.alert_addresses)
    ]
    if made:
        request_delivery()
    return [message for message in made if message is not None]


def request_delivery() -> None:
    """Have what waits delivered once the present transaction has committed. A waiting request is enough."""
    after_commit(wake)


def wake() -> None:
    """Have what waits delivered now; outside a transaction. With Redis away the sweep does it later."""
    queue.enqueue(DELIVER, key=DELIVER)


def _locked(message_id: int) -> Message:
    message = session().get(Message, message_id, with_for_update=True, populate_existing=True)
    if message is None:
        raise Refused("message_unknown", id=message_id)
    return message


def resend(message_id: int, recipient: str | None = None) -> Message:
    """A person sends a message again, to ``recipient`` or to where it went: a new row, the next in sequence.

    One that is held was never sent, so it is released instead. Refused: ``message_unknown``; ``message_waiting``
    where it goes by itself; ``message_resent`` where it was sent again before (send that one again);
    ``bad_address``.
    """
    old = _locked(message_id)
    if old.state == "held" and not recipient:
        return release(message_id)
    if old.state in ("pending", "sending"):
        raise Refused("message_waiting", id=message_id)
    to = _recipients(recipient or old.recipient)
    if session().scalar(sa.select(Message.id).where(Message.resend_of == old.id)) is not None:
        raise Refused("message_resent", id=message_id)
    now = clock.now()
    new = Message(
        kind=old.kind, sequence=old.sequence + 1, priority=old.priority, invoice_id=old.invoice_id, run_id=old.run_id,
        payment_id=old.payment_id, client_id=old.client_id, resend_of=old.id, recipient=to, language=old.language,
        data=old.data, state="pending", created_at=now, next_attempt_at=now,
    )  # fmt: skip
    session().add(new)
    session().flush()
    audit.record("outbox.resend", f"message:{old.id}", after={"message": new.id, "recipient": to})
    request_delivery()
    return new


def _recipients(text: str) -> str:
    """The addresses of ``text`` as a row holds them. Refused: ``bad_address`` where one is none, or there is none."""
    found = domain.recipients(text)
    wrong = [address for address in found if not domain.plausible_address(address)]
    if wrong or not found:
        raise Refused("bad_address", address=", ".join(wrong) or text.strip())
    return "; ".join(found)


def resend_failed(scope: Scope = EVERYTHING) -> int:
    """A person sends again, each as a new row, all that failed within ``scope`` and was not sent again since; returns
    how many. Not test e-mails, nor those that have nothing left to send (voided, gone, a link that is over).
    """
    now = clock.now()
    again = aliased(Message)
    failed = (
        sa.select(
            *(getattr(Message, name) for name in _COPIED), Message.sequence + 1, Message.id,
            sa.literal("pending"), sa.literal(now, UTCDateTime), sa.literal(now, UTCDateTime),
        )
        .where(
            Message.state == "failed",
            UNSENT,
            Message.kind != "test",
            Message.error.not_in(OVER),
            ~sa.exists().where(again.resend_of == Message.id),
        )
        .order_by(Message.id)
    )  # fmt: skip
    columns = [*_COPIED, "sequence", "resend_of", "state", "created_at", "next_attempt_at"]
    made = session().scalars(
        insert_into(Message).from_select(columns, visible(failed, scope)).on_conflict_do_nothing().returning(Message.id)
    )
    count = len(made.all())
    if count:
        audit.record("outbox.resend_failed", "outbox", after={"messages": count})
        request_delivery()
    return count


def hold(message_id: int) -> Message:
    """A person keeps a waiting message back. Refused: ``message_unknown``, ``message_not_waiting``."""
    message = _locked(message_id)
    if message.state != "pending":
        raise Refused("message_not_waiting", id=message_id)
    message.state, message.error, message.next_attempt_at, message.lease_until = "held", "by_person", None, None
    audit.record("outbox.hold", f"message:{message.id}")
    return message


def release(message_id: int) -> Message:
    """A person lets a held message go; its age counts from now. Refused: ``message_unknown``, ``message_not_held``."""
    message = _locked(message_id)
    if message.state != "held":
        raise Refused("message_not_held", id=message_id)
    message.state, message.error = "pending", ""
    message.released_at = message.next_attempt_at = clock.now()
    audit.record("outbox.release", f"message:{message.id}")
    request_delivery()
    return message


def release_all(scope: Scope = EVERYTHING) -> int:
    """A person lets all held messages within ``scope`` go; returns how many."""
    now = clock.now()
    held = sa.select(Message.id).where(Message.state == "held", UNSENT)
    held = visible(held, scope)
    result = session().execute(
        sa.update(Message)
        .where(Message.id.in_(held))
        .values(state="pending", error="", released_at=now, next_attempt_at=now)
        .execution_options(synchronize_session=False)
    )
    count: int = result.rowcount  # type: ignore[attr-defined]
    if count:
        audit.record("outbox.release_all", "outbox", after={"messages": count})
        request_delivery()
    return count


def hold_old() -> int:
    """Hold for a person what has waited longer than the company's setting; returns how many."""
    now = clock.now()
    before = now - timedelta(days=company().hold_mail_days)
    result = session().execute(
        sa.update(Message)
        .where(
            Message.state == "pending",
            UNSENT,
            sa.func.coalesce(Message.released_at, Message.created_at) < before,
            unleased(),
        )
        .values(
            state="held",
            error=sa.case((Message.error == "", "too_old"), else_=Message.error),
            next_attempt_at=None,
            lease_until=None,
        )
        .execution_options(synchronize_session=False)
    )
    count: int = result.rowcount  # type: ignore[attr-defined]
    return count


def unleased(now: datetime | None = None) -> sa.ColumnElement[bool]:
    """Over Message: no deliverer has it."""
    until, sending = Message.lease_until, Message.state == "sending"
    return sa.or_(
        sa.and_(~sending, until.is_(None)),
        sa.and_(~sending, clock.due(until, LEASE, now)),
        sa.and_(sending, clock.due(until, domain.SENDING, now)),
    )


def due(now: datetime | None = None) -> bool:
    """True where something waits whose moment has come, or was left behind by a deliverer that died."""
    ready = clock.due(Message.next_attempt_at, domain.LONGEST_PAUSE, now)
    waiting = sa.and_(Message.state == "pending", UNSENT, ready, unleased(now))
    lost = sa.and_(Message.state == "sending", UNSENT, unleased(now))
    return any(session().scalar(sa.select(Message.id).where(rule).limit(1)) is not None for rule in (waiting, lost))


@dataclass(frozen=True)
class Filter:
    """What the list of messages is narrowed to; empty = no limit. ``text``: recipient, subject or client code."""

    text: str = ""
    state: str = ""
    kind: str = ""


def visible(query: sa.Select[*Ts], scope: Scope) -> sa.Select[*Ts]:
    """``query`` over messages limited to those of clients in ``scope``; those of no client need the whole scope."""
    if scope.zone_ids is None:
        return query
    inside = sa.select(_client.c.id).where(_client.c.zone_id.in_(scope.zone_ids))
    return query.where(Message.client_id.in_(inside))


def listing(scope: Scope = EVERYTHING, only: Filter = Filter()) -> sa.Select[Message, str | None]:
    """The query of (message, client code), unordered."""
    query = sa.select(Message, _client.c.code).outerjoin(_client, _client.c.id == Message.client_id)
    query = visible(query, scope)
    if only.state in STATES:
        query = query.where(Message.state == only.state)
        if only.state != "sent":
            query = query.where(UNSENT)
    if only.kind:
        query = query.where(Message.kind == only.kind)
    if only.text.strip():
        word = "%" + only.text.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        columns = (Message.recipient, Message.subject, _client.c.code)
        query = query.where(sa.or_(*(sa.type_coerce(c, sa.String).ilike(word, escape="\\") for c in columns)))
    return query


def find(message_id: int, scope: Scope = EVERYTHING) -> Message | None:
    """The message, where it exists and is inside ``scope``."""
    found: Message | None = session().scalar(visible(sa.select(Message).where(Message.id == message_id), scope))
    return found


def sent_again_as(message_id: int) -> int | None:
    """The id of the message by which a person sent this one again."""
    return session().scalar(sa.select(Message.id).where(Message.resend_of == message_id))


def client_code(message: Message) -> str | None:
    """The code of the message's client."""
    if message.client_id is None:
        return None
    found: str | None = session().scalar(sa.select(_client.c.code).where(_client.c.id == message.client_id))
    return found


def failed(scope: Scope = EVERYTHING) -> int:
    """How many failed messages still wait for a person: not those that were sent again, and no test."""
    again = sa.orm.aliased(Message)
    query = sa.select(sa.func.count()).where(
        UNSENT, Message.state == "failed", Message.kind != "test",
        ~sa.select(again.id).where(again.resend_of == Message.id).exists(),
    )  # fmt: skip
    return session().scalar(visible(query, scope)) or 0


def counts(scope: Scope = EVERYTHING) -> Mapping[str, int]:
    """How many messages there are in each state but ``sent`` (of those nobody needs the number on every page)."""
    query = visible(sa.select(Message.state, sa.func.count()).where(UNSENT).group_by(Message.state), scope)
    found: dict[str, int] = dict(session().execute(query).all())
    return {state: found.get(state, 0) for state in STATES if state != "sent"}
