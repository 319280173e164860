"""Passwords: argon2id, and what a new one must look like."""

import re
import string
import unicodedata
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from wisp.core.errors import Refused
from wisp.settings.service import company

MINIMUM = 10
MAXIMUM = 200
_LETTERS = re.compile(r"[a-z]+")
_AROUND = string.digits + string.punctuation
_LEET = str.maketrans("01345@$7", "oieasast")
_ROWS = (
    "1234567890" * 2, "0123456789" * 2, string.ascii_lowercase * 2, "qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "q1w2e3r4t5y6u7i8o9p0", "1q2w3e4r5t6y7u8i9o0p",
)  # fmt: skip
_RUNS = [run for row in _ROWS for run in (row, row[::-1])]
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
    """Raise Refused where ``password`` is too short, too long, the address itself, or among those that are tried
    first: few different signs, a run of the keyboard, or a common word, the company's or the person's name, with
    whatever digits and signs around it."""
    if len(password) < MINIMUM:
        raise Refused("staff.password_short", minimum=MINIMUM)
    if len(password) > MAXIMUM:
        raise Refused("staff.password_long", maximum=MAXIMUM)
    if password.lower() == email.lower():
        raise Refused("staff.password_is_email")
    if guessable(password, [company().name, company().legal_name, *email.split("@")]):
        raise Refused("staff.password_common")


def guessable(password: str, names: Iterable[str] = ()) -> bool:
    """True for a password that an attacker tries early: see check_new. ``names``: what is close at hand."""
    text = _plain(password)
    if len(set(text)) < 5 or any(text in run for run in _RUNS):
        return True
    near = [_LETTERS.findall(_plain(name)) for name in names]
    known = _common() | {word for words in near for word in (*words, "".join(words))}
    found = ("".join(_LETTERS.findall(spelling)) for spelling in (text, text.strip(_AROUND).translate(_LEET)))
    return any(_made_of(letters, known) for letters in found)


def _made_of(letters: str, known: Collection[str]) -> bool:
    """Nothing but digits and signs, or one known word, once or again and again."""
    if not letters:
        return False  # digits and signs alone: judged by how many different ones there are, and in which order
    lengths = (length for length in range(3, len(letters) + 1) if len(letters) % length == 0)
    return any(
        letters[:length] in known and letters == letters[:length] * (len(letters) // length) for length in lengths
    )


def _plain(text: str) -> str:
    """In lower case, without accents."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(sign))


@cache
def _common() -> frozenset[str]:
    return frozenset(Path(__file__).with_name("common_passwords.txt").read_text().split())
