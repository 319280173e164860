"""The one source of the present moment.

Every decision and every default takes its time from here, never from the database or from Redis, so that a
test can set the clock and two machines with different database servers still agree.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

log = logging.getLogger(__name__)
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


@lru_cache(maxsize=64)
def zone(name: str, default: ZoneInfo | None = None) -> ZoneInfo:
    """The time zone of a name that is stored. One that the machine's data no longer knows stops nobody: ``default``, or
    UTC, is used, and the log and the first page say so."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        log.error("there is no time zone %r any more; %s is used", name, default or "UTC")
        return default or ZoneInfo("UTC")


def is_zone(name: str) -> bool:
    """Whether the machine's data knows a time zone of that name."""
    return zone(name).key == name


SLACK = timedelta(minutes=1)
"""By so much two processes may differ in what they take for now: one may have waited for a lock since it looked."""


def due(moment: Any, longest: timedelta, at: datetime | None = None) -> Any:
    """Whether a moment that something only waits for has come; a column gives a condition (NULL: not true).

    One that is further ahead than the ``longest`` wait for it was written by a clock that has been set back since: it
    has come, too, or the work would stand still for as long as that jump. ``at``: asked then, not now.
    """
    at = at or now()
    return (moment <= at) | (moment > at + longest + SLACK)


def since(moment: Any, span: timedelta) -> Any:
    """Whether ``span`` has passed since a moment; by the same rule also where that moment is still to come."""
    return due(moment, span, now() - span)


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
