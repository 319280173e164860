"""The one source of the present moment.

Every decision and every default takes its time from here, never from the database or from Redis, so that a
test can set the clock and two machines with different database servers still agree.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_frozen: datetime | None = None
_offset: timedelta = timedelta(0)


def now() -> datetime:
    """The present moment, aware, in UTC."""
    if _frozen is not None:
        return _frozen
    return datetime.now(UTC) + _offset


def today(timezone: ZoneInfo) -> date:
    """The local date in ``timezone``."""
    return now().astimezone(timezone).date()


@contextmanager
def frozen(moment: datetime) -> Iterator[None]:
    """Hold the clock at ``moment`` (aware) inside the block; for tests and for simulations of another day."""
    global _frozen
    if moment.tzinfo is None:
        raise ValueError("the clock takes aware moments only")
    before, _frozen = _frozen, moment.astimezone(UTC)
    try:
        yield
    finally:
        _frozen = before


def shift(offset: timedelta) -> None:
    """Move the clock of this process by ``offset`` from the machine's (the demo's time travel)."""
    global _offset
    _offset = offset
