"""Passwords: argon2id, and what a new one must look like."""

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from wisp.core.errors import Refused

MINIMUM = 10
MAXIMUM = 200
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_NOBODY = _hasher.hash("nobody's password")


def hashed(password: str) -> str:
    """The argon2id hash to store."""
    return _hasher.hash(password)


def matches(stored: str, password: str) -> bool:
    """True where ``password`` is the one. Without a stored hash it takes the same time and is always False."""
    try:
        return _hasher.verify(stored or _NOBODY, password) and bool(stored)
    except (Argon2Error, InvalidHashError):
        return False


def outdated(stored: str) -> bool:
    """True where the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def check_new(password: str, email: str) -> None:
    """Raise Refused where ``password`` is too short, too long or the address itself."""
    if len(password) < MINIMUM:
        raise Refused("staff.password_short", minimum=MINIMUM)
    if len(password) > MAXIMUM:
        raise Refused("staff.password_long", maximum=MAXIMUM)
    if password.lower() == email.lower():
        raise Refused("staff.password_is_email")
