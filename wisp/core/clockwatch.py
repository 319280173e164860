"""Where the machine's clock was set back, that is said once: in the audit log, and on the first page for a day."""

from datetime import timedelta

from sqlalchemy import select

from wisp.core import audit, clock
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.core.queue import job

ACTION = "clock.set_back"


@job("core.clock_set_back", queue="runs", timeout=60)
def set_back(seconds: int) -> None:
    """Write it down. What waits for moments that lie ahead now is begun by the sweeps (``clock.due``)."""
    with transaction():
        if last(timedelta(hours=1)) is None:
            audit.record(ACTION, "clock", None, {"seconds": seconds})


def last(span: timedelta = timedelta(days=1)) -> AuditEntry | None:
    """The last time that it was, in this span."""
    now = clock.now()
    query = select(AuditEntry).where(AuditEntry.target == "clock", AuditEntry.action == ACTION)
    return session().scalar(query.where(AuditEntry.at.between(now - span, now)).order_by(AuditEntry.at.desc()).limit(1))
