"""The test e-mail: sent at once, with the mail server's own answer."""

from dataclasses import dataclass

import sqlalchemy as sa

from wisp.core import clock
from wisp.core.db import session, transaction
from wisp.core.locales import language_or
from wisp.outbox import domain, server, service, transport
from wisp.outbox.delivery import LEASE
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
        state="sending", created_at=now, lease_until=now + LEASE, data={"server": settings.server},
    )  # fmt: skip
    with transaction() as s:
        s.add(row)
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


def _record(outgoing: Outgoing, result: Result) -> None:
    with transaction() as s:
        s.execute(
            sa.update(Message)
            .where(Message.id == outgoing.id)
            .values(
                state="sent" if result.ok else "failed",
                sent_at=clock.now() if result.ok else None,
                error=result.detail or result.code,
                attempts=1,
                lease_until=None,
                subject=outgoing.subject,
            )
        )
        if result.ok:
            server.worked()
            service.request_delivery()
