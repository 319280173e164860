"""Secrets at rest: router, mail and TOTP secrets are stored encrypted with WISP_KEY, never in clear."""

from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken
from flask import current_app
from itsdangerous import BadData, URLSafeSerializer


class SecretUnreadable(Exception):
    """The stored secret was encrypted with another WISP_KEY."""


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
