"""Rules of delivery: how long to wait before the next attempt, what a refusal is about, what an address is, what a
header may hold.
"""

import random
import re
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum

PAUSES = (1, 5, 15, 60)
"""Minutes before the second, third, … attempt; the last one repeats."""
JITTER = 0.2
"""The share by which a pause is longer at most, so that all that failed together do not come back together."""
MAX_ADDRESS = 254
_CODES = re.compile(r"(\d{3})[ -]?(?:(\d\.\d{1,3}\.\d{1,3})\b)?")
_LIMIT = re.compile(
    r"limit|quota|\brates?\b|throttl|too many|exceed|spam|unsolicited|policy|policies|reputation|black ?list"
    r"|block ?list|\bblocked\b|not authenticated|authentication required",
    re.IGNORECASE,
)
_OUR_LIMIT = re.compile(
    r"(sending|message|daily|hourly|recipient|submission) ?(rate|limit|quota)|submissionquota", re.IGNORECASE
)
_PARTS_OF_ONE = re.compile(r"<?[\w.+\-=]+@[\w.\-]+>?|\b[\w\-]*\d[\w\-]*\b")


def pause(failures: int, chance: Callable[[], float] = random.random) -> timedelta:
    """How long to wait after the ``failures``-th failure in a row (1, 2, …). ``chance`` gives 0 ≤ x < 1."""
    minutes = PAUSES[min(max(failures, 1), len(PAUSES)) - 1]
    return timedelta(minutes=minutes * (1 + JITTER * chance()))


LONGEST_PAUSE = timedelta(minutes=PAUSES[-1] * (1 + JITTER))
SENDING = timedelta(minutes=5)
"""The lease of a message that is being handed over: longer than a server may take for it."""


class About(StrEnum):
    """What a refusal is about: this recipient (or message) only, our sending as a whole, or one cannot tell."""

    RECIPIENT = "recipient"
    SERVICE = "service"
    UNCLEAR = "unclear"


def about(words: str) -> About:
    """What a mail server's answer ("550 5.1.1 no such user") is about.

    By its enhanced status code (RFC 3463): x.1.* and x.2.* are the recipient's, but for our own address (x.1.7, x.1.8)
    and for limits on sending that some providers report there; x.3.* and x.4.* are the system's; x.7.* is the
    service's where it speaks of limits, spam or policy. Without one, by the basic code and the same words.
    """
    match = _CODES.match(words)
    basic, status = (match[1], match[2] or "") if match else ("", "")
    _, _, rest = status.partition(".")
    subject = rest.partition(".")[0]
    if subject in ("1", "2"):
        ours = rest in ("1.7", "1.8", "1.90") or _OUR_LIMIT.search(words)
        return About.SERVICE if ours else About.RECIPIENT
    if rest == "3.4" or basic == "552":  # this message is too large, this mailbox is full
        return About.RECIPIENT
    if subject in ("3", "4") and rest != "3.0":
        return About.SERVICE
    if basic == "452" or _LIMIT.search(words):
        return About.SERVICE
    return About.UNCLEAR


def alike(words: str) -> str:
    """What is the same in two answers to different recipients: the text without addresses and numbers of its own."""
    match = _CODES.match(words)
    codes = match[0] if match else ""
    return f"{codes.strip()} {' '.join(_PARTS_OF_ONE.sub('', words[len(codes) :]).lower().split())}"


def plausible_address(address: str) -> bool:
    """True where a mail server can be asked about ``address``: one @, a domain, nothing that could end a header.

    Whether the address exists is for the mail server to say.
    """
    local, at, host = address.rpartition("@")
    if not at or not local or "@" in local or len(address) > MAX_ADDRESS or host.startswith(".") or host.endswith("."):
        return False
    if any(not part for part in host.split(".")):
        return False
    return all(c.isprintable() and c not in ' <>()[],;:\\"' for c in address)


def one_line(text: str, limit: int = 300) -> str:
    """``text`` as a header may hold it: line breaks and control characters become spaces, cut to ``limit``."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return clean if len(clean) <= limit else clean[: limit - 1].rstrip() + "…"


def recipients(text: str) -> list[str]:
    """The addresses to which one message goes ("ana@example.com; luis@example.com"); each once. A line break separates
    nothing here: it would end a header."""
    return list(dict.fromkeys(part for part in map(str.strip, text.replace(",", ";").split(";")) if part))


def addresses(text: str) -> list[str]:
    """The e-mail addresses of a setting that lists them with commas, semicolons, spaces or lines; each once."""
    for separator in ",;\n\r\t":
        text = text.replace(separator, " ")
    return list(dict.fromkeys(part for part in text.split(" ") if part))
