"""Reviews of what a router holds: proposed clients between reading and confirmation, and entries of others that go."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from wisp.core.db import Base, UTCDateTime, one_of


class RouterImport(Base):
    """What was read of a router, for one person to review. ``token`` lets it be confirmed once.

    ``lists``: [name, entries, proposed clients on it] of each list that is not ours; ``choices``: by its name what the
    person wants of it, ``{"take": "cut" | "notice", "remove": bool}``; ``passed_over``: counts by reason. Its rows go
    when it is done or thrown away.
    """

    __tablename__ = "router_import"
    id: Mapped[int] = mapped_column(primary_key=True)
    router_id: Mapped[int] = mapped_column(ForeignKey("router.id"), index=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    actor: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    touched_at: Mapped[datetime] = mapped_column(UTCDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    lists: Mapped[list[list[Any]]] = mapped_column(JSON)
    choices: Mapped[dict[str, dict[str, Any]]] = mapped_column(JSON)
    passed_over: Mapped[dict[str, Any]] = mapped_column(JSON)
    added: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    taken_over: Mapped[int] = mapped_column(default=0)


class RouterImportRow(Base):
    """A proposed client. What a person may correct is kept as typed, right or wrong; ``edited`` names it.

    ``client_id``: the client that it is already; ``changes``: what the router says otherwise. ``password`` is encrypted
    (core.crypto). ``problems``: [reason, values] by column, as the last check found them; NULL = none.
    """

    __tablename__ = "router_import_row"
    id: Mapped[int] = mapped_column(primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("router_import.id"))
    position: Mapped[int]
    status: Mapped[str] = mapped_column(String(8))
    include: Mapped[bool]
    client_id: Mapped[int | None] = mapped_column(ForeignKey("client.id"))
    code: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text, default="")
    phone: Mapped[str] = mapped_column(Text, default="")
    zone_id: Mapped[int | None] = mapped_column(ForeignKey("zone.id"))
    plan_id: Mapped[int | None] = mapped_column(ForeignKey("plan.id"))
    balance: Mapped[str] = mapped_column(Text, default="")
    source: Mapped[str] = mapped_column(String(8))
    connection: Mapped[str] = mapped_column(String(8))
    address: Mapped[str] = mapped_column(String(45), default="")
    address6: Mapped[str] = mapped_column(String(49), default="")
    networks: Mapped[str] = mapped_column(Text, default="", server_default="")
    mac: Mapped[str] = mapped_column(String(17), default="")
    username: Mapped[str] = mapped_column(Text, default="")
    password: Mapped[str] = mapped_column(Text, default="")
    comment: Mapped[str] = mapped_column(Text, default="")
    profile: Mapped[str] = mapped_column(Text, default="")
    up: Mapped[int] = mapped_column(default=0)
    down: Mapped[int] = mapped_column(default=0)
    dynamic: Mapped[bool] = mapped_column(default=False)
    changes: Mapped[list[str]] = mapped_column(JSON)
    edited: Mapped[list[str]] = mapped_column(JSON)
    reason: Mapped[str] = mapped_column(String(16), default="")
    reason_values: Mapped[dict[str, str]] = mapped_column(JSON)
    problems: Mapped[dict[str, list[Any]] | None] = mapped_column(JSON(none_as_null=True))

    __table_args__ = (
        UniqueConstraint("import_id", "position"),
        CheckConstraint(one_of("status", "new", "changed", "same", "conflict"), name="status"),
        Index(None, "client_id"),
    )


class RouterImportEntry(Base):
    """An entry of a list that is not ours and holds the address of a proposed client.

    ``fixed``: it may be taken off alone. ``state``: empty while the review is open; ``waiting``: a person said that it
    is to go once ours stands; ``removed``, ``gone`` (it was not there any more), ``changed`` (another one by now).
    """

    __tablename__ = "router_import_entry"
    id: Mapped[int] = mapped_column(primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("router_import.id"), index=True)
    row_id: Mapped[int | None] = mapped_column(ForeignKey("router_import_row.id"), index=True)
    client_id: Mapped[int | None] = mapped_column(ForeignKey("client.id"))
    list: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    ipv6: Mapped[bool]
    comment: Mapped[str] = mapped_column(Text)
    fixed: Mapped[bool]
    state: Mapped[str] = mapped_column(String(8), default="")
    detail: Mapped[str] = mapped_column(Text, default="")
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (
        CheckConstraint(one_of("state", "", "waiting", "removed", "gone", "changed"), name="state"),
        Index(
            "ix_router_import_entry_waiting", "client_id",
            sqlite_where=text("state = 'waiting'"), postgresql_where=text("state = 'waiting'"),
        ),
    )  # fmt: skip
