"""Staff users and what each is allowed."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from wisp.core.db import Base, UTCDateTime


class StaffUser(Base):
    """A person of the provider. ``email`` is kept in lower case; ``session_epoch`` grows to end all sessions."""

    __tablename__ = "staff_user"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    role: Mapped[str] = mapped_column(String(12))
    password_hash: Mapped[str] = mapped_column(String(255), default="")
    active: Mapped[bool] = mapped_column(default=True)
    language: Mapped[str] = mapped_column(String(5), default="")
    session_epoch: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_login_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    grants: Mapped[list["StaffGrant"]] = relationship(cascade="all, delete-orphan")

    __table_args__ = (
        CheckConstraint("email = lower(email)", name="email_lower"),
        CheckConstraint("role IN ('admin', 'finance', 'support', 'technician', 'cashier')", name="role"),
    )


class StaffGrant(Base):
    """One permission of one staff user (administrators need none: they have every permission)."""

    __tablename__ = "staff_grant"
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff_user.id"), primary_key=True)
    permission: Mapped[str] = mapped_column(String(40), primary_key=True)
