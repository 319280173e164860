"""Sessions: each browser that is logged in is a row, so that it can be seen and ended from anywhere."""

import secrets
from datetime import timedelta

import sqlalchemy as sa

from wisp.core import audit, clock
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.staff.models import StaffSession, StaffUser

IDLE = timedelta(hours=12)
REMEMBERED = timedelta(days=30)
LONGEST = timedelta(days=90)
"""However much it is used: then the password is asked for again."""
WRITTEN_EVERY = timedelta(minutes=1)


def begin(user: StaffUser, *, ip: str, user_agent: str, remembered: bool) -> str:
    """Note the log-in and a new session of ``user``; answers with the key for its cookie. What is over is swept out."""
    now = clock.now()
    session().execute(
        sa.delete(StaffSession)
        .where(StaffSession.seen_at < now - REMEMBERED)
        .execution_options(synchronize_session=False)
    )
    user.last_login_at = now
    row = StaffSession(
        key=secrets.token_urlsafe(32), staff_id=user.id, epoch=user.session_epoch, remembered=remembered,
        created_at=now, seen_at=now, ip=ip[:45], user_agent=user_agent[:300],
    )  # fmt: skip
    session().add(row)
    session().flush()
    audit.act_as(audit.Actor(f"staff:{user.email}", ip[:45]))
    audit.record("staff.log_in", f"staff:{user.email}", None, {"user_agent": row.user_agent})
    return row.key


def alive(row: StaffSession) -> bool:
    """True while the session was used within 12 hours, within 30 days where the person wants to be remembered, and
    began within 30 or 90 days."""
    now = clock.now()
    idle, longest = (REMEMBERED, LONGEST) if row.remembered else (IDLE, REMEMBERED)
    return now - row.seen_at < idle and now - row.created_at < longest


def stale(seen_at: object) -> bool:
    """True where ``seen_at`` is old enough to be written again."""
    return bool(clock.since(seen_at, WRITTEN_EVERY))


def seen(key: str, ip: str) -> None:
    """Write down that the session is in use, and from where."""
    session().execute(
        sa.update(StaffSession)
        .where(StaffSession.key == key)
        .values(seen_at=clock.now(), ip=ip[:45])
        .execution_options(synchronize_session=False)
    )


def of(staff_id: int) -> list[StaffSession]:
    """The living sessions of a user, the one last used first."""
    query = (
        sa.select(StaffSession)
        .join(StaffUser, StaffUser.id == StaffSession.staff_id)
        .where(StaffSession.staff_id == staff_id, StaffSession.epoch == StaffUser.session_epoch)
        .order_by(StaffSession.seen_at.desc(), StaffSession.id.desc())
    )
    return [row for row in session().scalars(query) if alive(row)]


def end(staff_id: int, session_id: int) -> None:
    """A person ends one of the own sessions. Refused("staff.no_session") where there is none with this number."""
    row = session().get(StaffSession, session_id)
    if row is None or row.staff_id != staff_id:
        raise Refused("staff.no_session")
    session().delete(row)
    session().flush()
    user = session().get_one(StaffUser, staff_id)
    audit.record("staff.session_end", f"staff:{user.email}", {"ip": row.ip, "user_agent": row.user_agent}, None)


def forget(key: str) -> None:
    """Log-out: the session is gone, also for whoever copied its cookie."""
    _delete(StaffSession.key == key)


def end_others(staff_id: int, key: str) -> int:
    """End every session of the user but the one with ``key``; returns how many."""
    ended = _delete(StaffSession.staff_id == staff_id, StaffSession.key != key)
    if ended:
        user = session().get_one(StaffUser, staff_id)
        audit.record("staff.session_end", f"staff:{user.email}", {"sessions": ended}, {"sessions": 0})
    return ended


def end_all(user: StaffUser) -> None:
    """End every session of the user."""
    user.session_epoch += 1
    session().flush()
    _delete(StaffSession.staff_id == user.id)


def end_everybodys() -> None:
    """End every session of everybody, also those whose row is in another copy of this database."""
    grown = sa.update(StaffUser).values(session_epoch=StaffUser.session_epoch + 1)
    session().execute(grown.execution_options(synchronize_session=False))
    _delete()


def _delete(*conditions: sa.ColumnElement[bool]) -> int:
    statement = sa.delete(StaffSession).where(*conditions).execution_options(synchronize_session=False)
    count: int = session().execute(statement).rowcount  # type: ignore[attr-defined]
    return count
