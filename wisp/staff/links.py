"""Links by e-mail that set a password: an invitation, a reset. Each works once and only for a while.

The link is the signed nonce of its row: a copy of the database holds none that works without the program's key, an
e-mail that is sent again holds the same one, and it opens no other row.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from wisp.core import audit, clock, crypto
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.outbox import service as outbox
from wisp.settings.service import company
from wisp.staff import passwords, sessions
from wisp.staff.models import StaffLink, StaffUser

INVITATION, RESET = "invitation", "password_reset"
LASTS = {INVITATION: timedelta(days=7), RESET: timedelta(hours=1)}
PURPOSE = "staff-link"


def send(user: StaffUser, kind: str) -> StaffLink:
    """Make a link of ``kind`` for the user and put the e-mail with it into the outbox. Earlier links end; but a reset,
    for which any visitor may ask, ends no invitation."""
    end_earlier(user.id, () if kind == INVITATION else (RESET,))
    now = clock.now()
    nonce = secrets.token_urlsafe(32)
    link = StaffLink(staff_id=user.id, kind=kind, nonce=nonce, created_at=now, expires_at=now + LASTS[kind])
    session().add(link)
    session().flush()
    outbox.queue_message(kind, user.email, language=user.language or company().language, data={"link": link.id})
    outbox.request_delivery()
    return link


def end_earlier(staff_id: int, kinds: tuple[str, ...] = ()) -> None:
    """What was sent to this user before (of these kinds; none named: all) opens nothing any more."""
    statement = sa.update(StaffLink).where(StaffLink.staff_id == staff_id, StaffLink.used_at.is_(None))
    if kinds:
        statement = statement.where(StaffLink.kind.in_(kinds))
    session().execute(statement.values(used_at=clock.now()).execution_options(synchronize_session=False))


def end_everything() -> None:
    """No link that was ever sent opens anything, and nobody is logged in: for a database that was restored."""
    unused = sa.update(StaffLink).where(StaffLink.used_at.is_(None)).values(used_at=clock.now())
    session().execute(unused.execution_options(synchronize_session=False))
    sessions.end_everybodys()
    audit.record("staff.session_end", "staff", None, {"sessions": "all", "links": "all"})


def request_reset(email: str) -> bool:
    """Send a reset link where ``email`` is an active staff user's; False (never said to the visitor) where not."""
    query = sa.select(StaffUser).where(StaffUser.email == email.strip().lower(), StaffUser.active)
    user = session().scalar(query)
    if user is None:
        return False
    send(user, RESET)
    audit.record("staff.reset_sent", f"staff:{user.email}")
    return True


@dataclass(frozen=True)
class Open:
    """A link that still works, and whose it is."""

    link: StaffLink
    user: StaffUser


def find(token: str, *, lock: bool = False) -> Open:
    """The link of ``token``. Refused("staff.link") where it was used, is too old, or never was one."""
    query = sa.select(StaffLink).where(StaffLink.nonce == crypto.signed(PURPOSE, token))
    query = query.with_for_update() if lock else query
    link = session().scalar(query.execution_options(populate_existing=True))
    if link is None or link.used_at is not None or link.expires_at <= clock.now():
        raise Refused("staff.link")
    user = session().get(StaffUser, link.staff_id)
    if user is None or not user.active:
        raise Refused("staff.link")
    return Open(link, user)


def use(token: str, password: str) -> StaffUser:
    """Set the password by a link, which is used up; every session of the user ends. Refused: ``staff.link``, or a weak
    password, after which the link still works."""
    found = find(token, lock=True)
    user = found.user
    passwords.check_new(password, user.email)
    user.password_hash = passwords.hashed(password)
    end_earlier(user.id)
    sessions.end_all(user)
    audit.record("staff.password", f"staff:{user.email}", None, {"password": "changed", "by": found.link.kind})
    return user
