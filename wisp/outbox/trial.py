"""What is sent at once, without the outbox's queue: the test e-mail, and word of a change of the mail server."""

from dataclasses import dataclass

import sqlalchemy as sa

from wisp.core import audit, clock
from wisp.core.db import session, transaction
from wisp.core.locales import language_or
from wisp.outbox import domain, server, service, transport
from wisp.outbox.domain import SENDING
from wisp.outbox.models import URGENT, Message
from wisp.outbox.rendering import Outgoing, make_letters
from wisp.outbox.transport import Fate, Line, MailSettings, MailTrouble
from wisp.settings.service import company


@dataclass(frozen=True)
class Result:
    """``ok``, or a ``code`` of ``wisp.outbox.texts`` with the server's text in ``detail``."""

    ok: bool
    code: str = ""
    detail: str = ""


def send_test(address: str, settings: MailSettings | None = None) -> Result:
    """Send a test e-mail at once and give the server's answer. Opens its own transactions, so call it outside one.

    ``settings``: to be tried before they are saved. The row in the outbox ends as sent or failed and is not tried
    again. When it goes well, what waits for the server goes too.
    """
    address = address.strip()
    if not domain.plausible_address(address):
        return Result(False, "bad_address", address)
    try:
        settings = settings or transport.mail_settings()
    except MailTrouble as trouble:
        return Result(False, str(trouble.code))
    if settings is None:
        return Result(False, "no_server")
    now = clock.now()
    row = Message(
        kind="test", recipient=address, language=language_or(company().language), priority=URGENT,
        state="sending", created_at=now, lease_until=now + SENDING, data={"server": settings.server},
    )  # fmt: skip
    where = f"{settings.server}:{settings.port}"
    with transaction() as s:
        s.add(row)
        audit.record("outbox.test", f"mail:{where}", None, {"recipient": address, "security": settings.security})
    outgoing = make_letters([row], settings)[0]
    session().rollback()  # no transaction stays open while the network is waited for
    result = _try(outgoing, settings)
    _record(outgoing, result)
    return result


def _try(outgoing: Outgoing, settings: MailSettings) -> Result:
    if outgoing.letter is None:
        return Result(False, "cannot_render", outgoing.error)
    try:
        with Line(settings) as line:
            answer = line.hand_over(outgoing.letter)
    except MailTrouble as trouble:
        return Result(False, str(trouble.code), trouble.detail)
    if answer.fate is Fate.ACCEPTED:
        return Result(True)
    return Result(False, str(answer.fate), answer.detail)


def present() -> MailSettings | None:
    """The settings in force, for ``send_by`` after they have changed; None where there are none that work."""
    try:
        return transport.mail_settings()
    except MailTrouble:
        return None


def send_by(settings: MailSettings | None, kind: str) -> None:
    """Send what waits of ``kind`` by these settings, then have the rest delivered as usual. Opens its own transactions.

    For word of a change of the mail server: it goes out by the one before, so that whoever names a server of their own
    cannot keep it back.
    """
    lease = clock.now() + SENDING
    waiting = sa.update(Message).where(Message.kind == kind, Message.state == "pending", Message.lease_until.is_(None))
    if settings is not None:
        with transaction() as s:
            taken = waiting.values(state="sending", lease_until=lease).returning(Message.id)
            ids = s.scalars(taken.execution_options(synchronize_session=False)).all()
        rows = session().scalars(sa.select(Message).where(Message.id.in_(ids))).all()
        letters = make_letters(rows, settings)
        session().rollback()
        for outgoing in letters:
            result = _try(outgoing, settings)
            _record(outgoing, result, otherwise="pending")
            if not result.ok and outgoing.letter is not None:
                break
        with transaction() as s:
            mine = sa.update(Message).where(Message.id.in_(ids), Message.state == "sending")
            s.execute(mine.values(state="pending", lease_until=None))
    service.wake()


def _record(outgoing: Outgoing, result: Result, otherwise: str = "failed") -> None:
    with transaction() as s:
        s.execute(
            sa.update(Message)
            .where(Message.id == outgoing.id)
            .values(
                state="sent" if result.ok else otherwise,
                sent_at=clock.now() if result.ok else None,
                error=result.detail or result.code,
                attempts=1,
                lease_until=None,
                subject=outgoing.subject,
            )
        )
        if result.ok and otherwise == "failed":
            server.worked()
            service.request_delivery()
