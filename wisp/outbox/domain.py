"""Rules of delivery: how long to wait before the next attempt, what an address is, what a header may hold."""

import random
from collections.abc import Callable
from datetime import timedelta

PAUSES = (1, 5, 15, 60)
"""Minutes before the second, third, … attempt; the last one repeats."""
JITTER = 0.2
"""The share by which a pause is longer at most, so that all that failed together do not come back together."""
MAX_ADDRESS = 254


def pause(failures: int, chance: Callable[[], float] = random.random) -> timedelta:
    """How long to wait after the ``failures``-th failure in a row (1, 2, …). ``chance`` gives 0 ≤ x < 1."""
    minutes = PAUSES[min(max(failures, 1), len(PAUSES)) - 1]
    return timedelta(minutes=minutes * (1 + JITTER * chance()))


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


def addresses(text: str) -> list[str]:
    """The e-mail addresses of a setting that lists them with commas, semicolons, spaces or lines; each once."""
    for separator in ",;\n\r\t":
        text = text.replace(separator, " ")
    return list(dict.fromkeys(part for part in text.split(" ") if part))
