"""Routers that did not answer last time are asked at once whether they do now, before anything is done with them.

Each would keep a worker waiting for as long as a connection is waited for: one after the other, a few dozen of them
would keep all workers from the routers that answer.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from wisp.access.transcripts import Transcript, transcribed
from wisp.core import queue
from wisp.core.db import session
from wisp.gateway import GatewayError, Target, connect
from wisp.routers import health
from wisp.routers.models import Router

PATIENCE = 2.0
"""Seconds that a router may take for each answer. The probe has more, and brings back those that are only slow."""
DEADLINE = 5.0
"""Seconds for all of it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Silence:
    """A router did not let us in: its GatewayError, and what was said."""

    error: str
    detail: str
    transcript: Transcript


def work_off(calls: Sequence[Sequence[Any]], job: str, work: Callable[..., object]) -> None:
    """Ask the routers of these calls at once: each its id, and perhaps whether it is forced, which holds where one call
    of the router says so. The ``job`` of those that let us in, or are known to be back by now, is enqueued with the
    same arguments; for each of the others ``work``, given those and its Silence, writes down that it did not. The first
    error of these, if any, is raised after the last."""
    wanted: dict[int, tuple[Any, ...]] = {}
    for router_id, *forced in calls:
        wanted[router_id] = max(wanted.get(router_id, ()), tuple(forced))
    first: Exception | None = None
    for router_id, asked in _ask(list(wanted)):
        arguments = (router_id, *wanted[router_id])
        try:
            silence = asked.result()
            if silence is None or _is_back(router_id):
                queue.enqueue(job, *arguments, key="-".join(map(str, (job, *arguments))))
            else:
                work(*arguments, silence)
        except Exception as error:
            log.exception("router %s: its silence could not be written down", router_id)
            first = first or error
    if first is not None:
        raise first


def _is_back(router_id: int) -> bool:
    """Whether somebody else has found the router on line while it was asked here."""
    online = session().scalar(sa.select(Router.online).where(Router.id == router_id))
    session().rollback()
    return online is True


def _ask(router_ids: list[int]) -> "Iterator[tuple[int, Future[Silence | None]]]":
    """How each of them answered, as soon as it did; an archived one is left out."""
    targets = health.targets(router_ids, patience=PATIENCE)
    session().rollback()
    with ThreadPoolExecutor(min(health.AT_ONCE, len(targets)) or 1, thread_name_prefix="knock") as pool:
        asked = {pool.submit(_knock, target): router_id for router_id, target in targets.items()}
        for done in as_completed(asked):
            yield asked[done], done


def _knock(target: Target | None) -> Silence | None:
    if target is None:
        return None  # its password cannot be read: nobody is kept waiting
    with transcribed() as transcript:
        try:
            with connect(target, deadline=DEADLINE):
                return None
        except GatewayError as error:
            code, detail = error.code.value, error.detail
    return Silence(code, detail, transcript)
