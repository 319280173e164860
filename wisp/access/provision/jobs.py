"""Jobs of provisioning: a router's work, what is due, and the nightly comparison. Each may run twice."""

import logging
from uuid import uuid4

from wisp.access import knocking, sync, transcripts
from wisp.access.provision import service, talk, work
from wisp.access.provision.talk import Result
from wisp.core import clock
from wisp.core.db import transaction, write
from wisp.core.lease import SWEEP, kept
from wisp.core.queue import job, periodic

CHUNKS = 10
"""How many chunks one job does; the next job goes on."""

log = logging.getLogger(__name__)

periodic("access-provision-sweep", "access.provision_sweep", seconds=SWEEP)
periodic("access-provision-nightly", "access.provision_all", seconds=24 * 3600)


@job(service.JOB, queue="routers", timeout=600)
def provision(router_id: int, force: bool = False, after: int = 0, order: int = 0) -> None:
    """Write what the router's clients need, chunk by chunk, giving the router's lease back between two of them.

    It may run twice, beside others or be killed anywhere: the lease lets one in, what is sent is the difference to what
    was just read, and only what was answered is recorded.
    """
    _chunks(router_id, force, after=after, order=order)


def _chunks(
    router_id: int, force: bool, silence: knocking.Silence | None = None, *, after: int = 0, order: int = 0
) -> None:
    owner = uuid4().hex
    try:
        for _number in range(CHUNKS):
            task = _chunk(router_id, owner, force, after, order, silence)
            if task is None:
                return
            after, order = task.cursor, task.order
        service.go_on(router_id, after, order)
    except sync.LeaseLost:
        log.warning("router %s: the lease ran out, another job goes on", router_id)
    except BaseException:
        write(lambda: sync.release(router_id, owner))
        raise


@job(service.JOB_AWAY, queue="away", timeout=600, together=True)
def provision_away(calls: list[tuple[int, bool]]) -> None:
    """The same for routers that did not answer last time: their place in the queue is behind those that do, and they
    are asked at once."""
    knocking.work_off(calls, service.JOB, _chunks)


def _chunk(
    router_id: int, owner: str, force: bool, after: int, order: int, silence: knocking.Silence | None
) -> work.Task | None:
    """One chunk; the task, where another one is due at once. ``silence``: the router has just been asked, and did not
    let us in."""
    task = write(lambda: work.begin(router_id, owner, force=force, after=after, order=order))
    if task is None:
        return None
    result = Result(True)
    if task.plan is not None:
        plan = task.plan
        if silence is None:
            with transcripts.transcribed() as transcript, kept(lambda: sync.renew(router_id, owner)):
                result = talk.provision(plan, lambda: write(lambda: sync.renew(router_id, owner)))
        else:
            result, transcript = Result(False, silence.error, silence.detail), silence.transcript
        if result.written or result.removed or result.error:
            write(lambda: transcripts.record(router_id, transcript, result.error))
    more = write(lambda: work.record(task, result, owner))
    return task if more else None


@job("access.provision_sweep", queue="routers", timeout=60)
def sweep() -> None:
    """Often: start the work that is due (lost orders, ended pauses)."""
    with transaction():
        service.enqueue(service.due(clock.now()), force=False)


@job(service.LET_GO, queue="routers", timeout=60)
def let_go(router_id: int) -> None:
    """Write the profiles that waited for the end of a cut. Lost, the nightly comparison does it."""
    with transaction():
        service.let_go(router_id)


@job(service.REQUEST, queue="routers", timeout=60)
def request(router_id: int) -> None:
    """Order a router's work. Twice is once."""
    with transaction():
        service.request([router_id])


@job("access.provision_all", queue="routers", timeout=300)
def provision_all() -> None:
    """Once a day: compare every router with what its clients need, so that what others changed there is put right."""
    for router_id in service.all_routers():
        with transaction():
            service.request([router_id], whole=True)
