"""What is known of the mail server: how it last answered, and how long nobody asks it again."""

from datetime import timedelta

import sqlalchemy as sa

from wisp.core import clock
from wisp.core.db import insert_into, session
from wisp.outbox import domain, service
from wisp.outbox.models import MailServer, Message
from wisp.outbox.transport import Trouble

REFUSED = "alert_mail_refused"


def state() -> MailServer:
    """How the mail server last answered; a row of empty values where nobody asked it yet."""
    found = session().get(MailServer, 1)
    return found or MailServer(id=1, failures=0, error="", detail="")


def paused() -> bool:
    """True while nobody should connect."""
    until = state().paused_until
    return until is not None and not clock.due(until, domain.LONGEST_PAUSE)


def failed(code: str, detail: str, *, after_success: bool) -> None:
    """It cannot be used: everybody waits 1, 5, 15, 60, 60, … minutes. In the present transaction.

    ``after_success``: it took messages just before, so this counts as the first failure.
    """
    now = clock.now()
    row = _row()
    row.failures = 1 if after_success else row.failures + 1
    row.paused_until = now + domain.pause(row.failures)
    row.error, row.detail, row.failed_at = code, detail, now
    if after_success:
        row.succeeded_at = now
    if code in (Trouble.LIMIT, Trouble.REFUSING, Trouble.SENDER):
        _tell(code, detail)


def _tell(code: str, detail: str) -> None:
    """Let a person know, once a day, that it is us that the server refuses. The alert itself goes when the server takes
    e-mails again, or another one is set.
    """
    recent = sa.select(Message.id).where(Message.kind == REFUSED, Message.created_at > clock.now() - timedelta(days=1))
    if session().scalar(recent.limit(1)) is None:
        service.alert(REFUSED, {"error": code, "detail": detail, "since": clock.now().isoformat()})


def worked() -> None:
    """It took what it was given. In the present transaction."""
    row = _row()
    row.failures, row.paused_until, row.error, row.detail, row.succeeded_at = 0, None, "", "", clock.now()


def forget_pause() -> None:
    """Let the next attempt be now (its settings were changed) and ask for it. In the present transaction."""
    row = _row()
    row.failures, row.paused_until = 0, None
    service.request_delivery()


def _row() -> MailServer:
    session().execute(insert_into(MailServer).values(id=1).on_conflict_do_nothing())
    return session().get_one(MailServer, 1, with_for_update=True, populate_existing=True)
