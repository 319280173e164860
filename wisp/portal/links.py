"""Signed tokens of the client pages: the link in an e-mail, and the button "Entendido". Nobody else can make one."""

from dataclasses import dataclass
from datetime import datetime

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from wisp.core import clock

PAGE, CONFIRM = "page", "confirm"
LASTS = {PAGE: 90 * 86_400, CONFIRM: 86_400}
"""Seconds for which a token of each purpose is good."""
LONGEST = 200


class _Signer(TimestampSigner):
    """A signer that takes the time from the program's one clock."""

    def get_timestamp(self) -> int:
        return int(clock.now().timestamp())


def _serializer(secret: str, purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt=f"wisp-portal-{purpose}", signer=_Signer)


def sign(secret: str, purpose: str, client_id: int) -> str:
    """A token that names this client, good for ``purpose`` only and only for a while."""
    return str(_serializer(secret, purpose).dumps(client_id))


@dataclass(frozen=True)
class Named:
    """The client that a token names, and the second in which it was made. It is not for a client added after that: a
    database that was restored gives out the same numbers again."""

    client_id: int
    at: datetime


def signed(secret: str, purpose: str, token: str) -> Named | None:
    """Whom a token names; None where it was not made here, for another purpose, or too long ago."""
    if len(token) > LONGEST:
        return None
    try:
        found, at = _serializer(secret, purpose).loads(token, max_age=LASTS[purpose], return_timestamp=True)
    except BadData:
        return None
    return Named(found, at) if isinstance(found, int) else None
