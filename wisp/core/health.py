"""Whether background work goes on: the scheduler looks every few seconds at itself, the queue and the workers, and
writes down when it saw them; pages and alerts read that. Where the scheduler itself is silent, the workers notice.
"""

import logging
from datetime import datetime, timedelta
from typing import NamedTuple

import redis
import sqlalchemy as sa
from sqlalchemy import String
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, mapped_column

from wisp.core import clock, events, queue
from wisp.core.db import Base, UTCDateTime, insert_into, session, transaction

QUEUE, WORKER, SCHEDULER = "queue", "worker", "scheduler"
LIMITS = {
    QUEUE: timedelta(minutes=1),
    WORKER: timedelta(minutes=2),
    SCHEDULER: timedelta(minutes=2),
}
"""For how long a part may be silent."""
WATCH = "core.watch"

log = logging.getLogger(__name__)


class Heartbeat(Base):
    """When a part of the background work was last seen; ``alerted_at``: since when its silence is told."""

    __tablename__ = "heartbeat"
    part: Mapped[str] = mapped_column(String(20), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    alerted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


def seen(*parts: str) -> None:
    """Write down that these parts are there."""
    now = clock.now()
    rows = [{"part": part, "seen_at": now, "alerted_at": None} for part in parts]
    statement = insert_into(Heartbeat).values(rows)
    session().execute(
        statement.on_conflict_do_update(index_elements=["part"], set_={"seen_at": now, "alerted_at": None})
    )


class Silence(NamedTuple):
    """A part that is not there, and when it was last seen; None: never."""

    part: str
    since: datetime | None


def silent() -> Silence | None:
    """The part whose silence keeps background work from going on; None where all is well.

    The others are judged as of the scheduler's last look: nobody has looked since; nor can the workers be seen without
    the queue. So it is one part. A moment that lies ahead was written before the clock was set back, and is no sign of
    life either.
    """
    rows = session().execute(sa.select(Heartbeat.part, Heartbeat.seen_at)).all()
    last: dict[str, datetime] = {part: at for part, at in rows}  # noqa: C416 - for the types
    looked = last.get(SCHEDULER)
    for part, by in ((SCHEDULER, clock.now()), (QUEUE, looked), (WORKER, looked)):
        since = last.get(part)
        if since is None or by is None or abs(by - since) > LIMITS[part]:
            return Silence(part, since)
    return None


def tell_silence() -> bool:
    """Have the alert addresses told of a silence, once each time. True where it is news."""
    found = silent()
    if found is None or found.since is None:
        return False
    news = session().execute(
        sa.update(Heartbeat)
        .where(Heartbeat.part == found.part, Heartbeat.alerted_at.is_(None))
        .values(alerted_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    if news.rowcount != 1:  # type: ignore[attr-defined]
        return False
    log.error("background work stands still: no %s since %s", found.part, found.since)
    events.background_silent.emit(part=found.part, since=found.since)
    return True


def begin() -> None:
    """The scheduler starts: the others have their time to appear from now on."""
    with transaction():
        seen(SCHEDULER, QUEUE, WORKER)


def look(client: "redis.Redis | None") -> bool:
    """The scheduler's look; ``client`` where the queue answers. True where somebody has been told of a silence."""
    parts = [SCHEDULER]
    if client is not None:
        parts.append(QUEUE)
        worker = queue.worker_seen(client)
        if worker is not None and abs(clock.now() - worker) < LIMITS[WORKER] / 2:
            parts.append(WORKER)
    with transaction():
        seen(*parts)
        return tell_silence()


@queue.job(WATCH, queue="mail", timeout=60)
def watch() -> None:
    """The workers' look. May run twice: a silence is told once."""
    with transaction():
        tell_silence()


def unready() -> list[str]:
    """The parts that do not answer now, of database, queue, worker and scheduler."""
    missing = []
    try:
        worker = queue.worker_seen(queue.connection())
        if worker is None or abs(clock.now() - worker) > LIMITS[WORKER]:
            missing.append(WORKER)
    except (redis.exceptions.RedisError, OSError):
        missing += [QUEUE, WORKER]
    try:
        at = session().scalar(sa.select(Heartbeat.seen_at).where(Heartbeat.part == SCHEDULER))
        if at is None or abs(clock.now() - at) > LIMITS[SCHEDULER]:
            missing.append(SCHEDULER)
    except DBAPIError:
        missing += ["database", SCHEDULER]
    return sorted(missing)
