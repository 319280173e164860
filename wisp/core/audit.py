"""The audit log: who changed what, when, from where, with the values before and after. Append-only."""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, event
from sqlalchemy.orm import Mapped, mapped_column

from wisp.core import clock
from wisp.core.db import Base, UTCDateTime, session


@dataclass(frozen=True)
class Actor:
    """Who acts: ``staff:<email>``, ``cli:<system user>`` or ``system``; ``ip`` where it came over HTTP."""

    name: str
    ip: str = ""


SYSTEM = Actor("system")
_actor: ContextVar[Actor] = ContextVar("actor", default=SYSTEM)


def actor() -> Actor:
    """Who acts at present; the scheduler and the workers act as ``system``."""
    return _actor.get()


def act_as(who: Actor) -> None:
    """Set who acts from now on in this context (a request, a command, a job)."""
    _actor.set(who)


class AuditEntry(Base):
    """One change. ``target`` names the object (``client:C001``); values are plain JSON, secrets never."""

    __tablename__ = "audit_entry"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    actor: Mapped[str] = mapped_column(String(200))
    ip: Mapped[str] = mapped_column(String(45), default="")
    action: Mapped[str] = mapped_column(String(64))
    target: Mapped[str] = mapped_column(String(200))
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON)

    __table_args__ = (Index(None, "at"), Index(None, "target", "at"), Index(None, "actor", "at"))


@event.listens_for(AuditEntry, "before_update")
@event.listens_for(AuditEntry, "before_delete")
def _append_only(*_: object) -> None:
    raise RuntimeError("the audit log is append-only")


def record(action: str, target: str, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None) -> None:
    """Write one line in the present transaction. Equal values before and after are left out."""
    if before is not None and after is not None:
        changed = {key for key in after if before.get(key) != after[key]}
        before = {key: before[key] for key in changed if key in before}
        after = {key: after[key] for key in changed}
        if not changed:
            return
    who = actor()
    session().add(
        AuditEntry(
            at=clock.now(),
            actor=who.name,
            ip=who.ip,
            action=action,
            target=target,
            before=before,
            after=after,
        )
    )
