"""Secrets at rest: router, mail and TOTP secrets are stored encrypted with WISP_KEY, never in clear."""

from cryptography.fernet import Fernet, InvalidToken
from flask import current_app


class SecretUnreadable(Exception):
    """The stored secret was encrypted with another WISP_KEY."""


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
