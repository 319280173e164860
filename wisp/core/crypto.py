"""Secrets at rest: router, mail and TOTP secrets are stored encrypted with WISP_KEY, never in clear."""

import logging
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from flask import current_app
from flask_babel import lazy_gettext as _l
from itsdangerous import BadData, URLSafeSerializer

from wisp.core.db import session
from wisp.core.errors import Refused, messages

log = logging.getLogger(__name__)
kept: dict[str, Any] = {}
"""The columns that hold what ``encrypt`` gave, by name; each slice adds its own."""
messages["core.secret"] = _l(
    "What is stored encrypted cannot be read: the key of this installation (WISP_KEY) is not the one it was stored "
    "with. Enter the password anew, or bring the old key back."
)


class SecretUnreadable(Refused):
    """The stored secret was encrypted with another WISP_KEY."""

    def __init__(self) -> None:
        super().__init__("core.secret")


@dataclass(frozen=True)
class Destination:
    """Where a stored secret is sent, as whom, and how the way there is secured.

    A secret that was stored for one destination is never sent to another: it is dropped, or typed again. Else whoever
    may change the destination learns the secret by naming a machine of their own.
    """

    host: str
    port: int
    username: str
    security: str
    fingerprint: str = ""


def _fernet() -> Fernet:
    return Fernet(current_app.config["WISP"].wisp_key)


def encrypt(clear: str) -> str:
    """``clear`` encrypted and authenticated, as text for a database column; the empty text stays empty."""
    return _fernet().encrypt(clear.encode()).decode() if clear else ""


def decrypt(stored: str) -> str:
    """The text that ``encrypt`` was given. Raises SecretUnreadable where the key is another one."""
    if not stored:
        return ""
    try:
        return _fernet().decrypt(stored.encode()).decode()
    except InvalidToken:
        raise SecretUnreadable from None


def is_same(stored: str, clear: str) -> bool:
    """Whether ``stored`` holds ``clear``; one that cannot be read does not."""
    try:
        return decrypt(stored) == clear
    except SecretUnreadable:
        return False


def report_unreadable() -> None:
    """At the start: one line in the log where stored secrets cannot be read with the present key."""
    lost = []
    for name, column in kept.items():
        stored = session().scalar(sa.select(column).where(column != "").limit(1))
        try:
            decrypt(stored or "")
        except SecretUnreadable:
            lost.append(name)
    session().rollback()
    if lost:
        log.error("WISP_KEY is not the key with which secrets were stored; they cannot be read: %s", ", ".join(lost))


def sign(purpose: str, name: str) -> str:
    """``name`` as text for a link that nobody else can make; good for ``purpose`` only.

    Name a thing by something random that only it ever had, not by its row's number: a database that was restored gives
    out the same numbers again.
    """
    signer = URLSafeSerializer(current_app.config["WISP"].secret_key, salt=f"wisp-{purpose}")
    return str(signer.dumps(name))


def signed(purpose: str, text: str) -> str | None:
    """The name that ``sign`` was given; None for every other text."""
    signer = URLSafeSerializer(current_app.config["WISP"].secret_key, salt=f"wisp-{purpose}")
    try:
        name = signer.loads(text)
    except BadData:
        return None
    return name if isinstance(name, str) else None
