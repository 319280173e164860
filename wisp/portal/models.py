"""Who saw the client pages, who confirmed the notice, and when it comes back."""

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from wisp.core.db import Base, UTCDateTime


class PortalVisit(Base):
    """One client's visits on one local day of the company. ``seen`` counts at most one look in SEEN_PAUSE;
    ``notice_first_at`` and ``notice_last_at`` are the looks of that day that met a notice, for the ledger of runs."""

    __tablename__ = "portal_visit"
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(primary_key=True)
    seen: Mapped[int] = mapped_column(default=0)
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    notice_first_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    notice_last_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (Index(None, "day"),)


class PortalPause(Base):
    """A client pressed "Entendido": the notice is off its screen since ``confirmed_at`` and comes back at ``back_at``
    (NULL: not by itself). ``since`` is the first confirmation of a series, ``ended`` that nothing of it comes back any
    more: the next confirmation, of a notice that a run has put there, begins a new one."""

    __tablename__ = "portal_pause"
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), primary_key=True, autoincrement=False)
    confirmed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    since: Mapped[datetime] = mapped_column(UTCDateTime)
    back_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended: Mapped[bool] = mapped_column(default=False, server_default=text("false"))

    __table_args__ = (
        Index(
            "ix_portal_pause_back_at", "back_at",
            sqlite_where=text("back_at IS NOT NULL"), postgresql_where=text("back_at IS NOT NULL"),
        ),
    )  # fmt: skip
