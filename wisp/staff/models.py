"""Staff users and what each is allowed."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from wisp.core.db import Base, UTCDateTime, one_of


class StaffUser(Base):
    """A person of the provider. ``email`` is kept in lower case; ``session_epoch`` grows to end all sessions.

    Without ``password_hash`` the invitation has not been accepted. ``limited``: sees only the zones of StaffZone,
    nothing where there is none. ``totp_secret`` is encrypted (core.crypto), empty without a second factor;
    ``totp_step`` is the last half-minute whose code was taken, so that none is taken twice.
    """

    __tablename__ = "staff_user"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    role: Mapped[str] = mapped_column(String(12))
    password_hash: Mapped[str] = mapped_column(String(255), default="")
    active: Mapped[bool] = mapped_column(default=True)
    language: Mapped[str] = mapped_column(String(5), default="")
    session_epoch: Mapped[int] = mapped_column(default=0)
    limited: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    totp_secret: Mapped[str] = mapped_column(Text, default="", server_default="")
    totp_step: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_login_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    grants: Mapped[list["StaffGrant"]] = relationship(cascade="all, delete-orphan")
    zones: Mapped[list["StaffZone"]] = relationship(cascade="all, delete-orphan")

    __table_args__ = (
        CheckConstraint("email = lower(email)", name="email_lower"),
        CheckConstraint(one_of("role", "admin", "finance", "support", "technician", "cashier"), name="role"),
    )


class StaffGrant(Base):
    """One permission of one staff user (administrators need none: they have every permission)."""

    __tablename__ = "staff_grant"
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff_user.id"), primary_key=True)
    permission: Mapped[str] = mapped_column(String(40), primary_key=True)


class StaffZone(Base):
    """One billing zone that a limited staff user may see."""

    __tablename__ = "staff_zone"
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff_user.id"), primary_key=True)
    zone_id: Mapped[int] = mapped_column(ForeignKey("zone.id"), primary_key=True, index=True)


class StaffSession(Base):
    """One browser that is logged in. The signed cookie holds ``key``; without the row it is worth nothing.

    ``epoch`` is the user's ``session_epoch`` at log-in; ``seen_at`` is written at most once a minute.
    """

    __tablename__ = "staff_session"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(43), unique=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff_user.id"), index=True)
    epoch: Mapped[int]
    remembered: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    ip: Mapped[str] = mapped_column(String(45), default="")
    user_agent: Mapped[str] = mapped_column(String(300), default="")


class StaffLink(Base):
    """A link sent by e-mail that sets a password, once: an invitation or a reset.

    The link is ``nonce``, signed: random, so that it opens this row and never another that got the same number, as in a
    database that was restored. None: from an earlier version; opens nothing.
    """

    __tablename__ = "staff_link"
    id: Mapped[int] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff_user.id"))
    kind: Mapped[str] = mapped_column(String(16))
    nonce: Mapped[str | None] = mapped_column(String(43), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        CheckConstraint(one_of("kind", "invitation", "password_reset"), name="kind"),
        Index(None, "staff_id", "kind"),
    )


class StaffRecovery(Base):
    """One recovery code of the second factor, as a SHA-256 of its 80 random bits; each works once."""

    __tablename__ = "staff_recovery"
    id: Mapped[int] = mapped_column(primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff_user.id"), index=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
