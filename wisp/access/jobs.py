"""Jobs of access: synchronising routers, looking after what is due, telling of outages. Each may run twice."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar
from uuid import uuid4

from sqlalchemy.exc import OperationalError

from wisp.access import outages, service, sync
from wisp.access.conversation import converse
from wisp.core import clock
from wisp.core.db import after_commit, transaction
from wisp.core.queue import job, periodic

ROUNDS = 10
"""How often one job goes round at most while orders keep coming; the next job goes on."""
TRIES = 3

log = logging.getLogger(__name__)
T = TypeVar("T")

periodic("access-sweep", "access.sweep", seconds=60)
periodic("access-reconcile", "access.reconcile", seconds=24 * 3600)


@job(service.SYNC, queue="routers", timeout=600)
def synchronise(router_id: int, force: bool = False) -> None:
    """Make a router's lists say what is wanted, and record what it answered.

    It may run twice, beside another or be killed anywhere: the lease lets one in, what is sent is the
    difference to what was just read, and only what was answered is recorded.
    """
    owner = uuid4().hex
    try:
        for number in range(1, ROUNDS + 1):
            if not _round(router_id, owner, force=force or number > 1, keep=number < ROUNDS):
                return
    except sync.LeaseLost:
        log.warning("router %s: the lease ran out, another job goes on", router_id)
    except BaseException:
        _write(lambda: sync.release(router_id, owner))
        raise


def _round(router_id: int, owner: str, *, force: bool, keep: bool) -> bool:
    """One synchronisation; True where another one is due."""
    order = _write(lambda: sync.claim(router_id, owner, force=force))
    if order is None:
        return False
    plan = _write(lambda: sync.make_plan(router_id, order))
    result = converse(plan, lambda: _write(lambda: sync.renew(router_id, owner)))
    return _write(lambda: sync.record(plan, result, owner, keep=keep))


def _write(step: Callable[[], T]) -> T:
    """One transaction, repeated where the database gave it up for another one's sake."""
    for attempt in range(1, TRIES + 1):
        try:
            with transaction():
                return step()
        except OperationalError:
            if attempt == TRIES:
                raise
            time.sleep(0.05 * attempt)
    raise AssertionError  # not reached


@job("access.sweep", queue="routers", timeout=60)
def sweep() -> None:
    """Every minute: start the synchronisations that are due (lost orders, ended pauses), look after outages."""
    with transaction():
        answering = outages.watch()
        service.request_sync(answering)
        due = service.due_syncs(clock.now())
        after_commit(lambda: service.enqueue_syncs(due, force=False))


@job(outages.ALERTS, queue="routers", timeout=60)
def tell() -> None:
    """One e-mail for the work that has begun to wait."""
    with transaction():
        outages.tell_waiting()


@job("access.reconcile", queue="routers", timeout=60)
def reconcile() -> None:
    """Once a day: look at every router, so that what others changed there is found and put right."""
    with transaction():
        service.request_sync(service.all_routers())
