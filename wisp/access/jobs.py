"""Jobs of access: synchronising routers, looking after what is due, telling of outages. Each may run twice."""

import logging
from uuid import uuid4

from wisp.access import differences, knocking, outages, service, sync, transcripts
from wisp.access.conversation import converse
from wisp.access.plan import Result
from wisp.access.rules import service as rules
from wisp.access.rules import verdicts
from wisp.core import clock
from wisp.core.db import after_commit, session, transaction, write
from wisp.core.lease import SWEEP, kept
from wisp.core.queue import enqueue_after_commit, job, periodic, rehearsal
from wisp.gateway import GatewayError

COUNT, COUNT_AWAY = "access.count", "access.count_away"
ROUNDS = 10
"""How often one job goes round at most while orders keep coming; the next job goes on."""

log = logging.getLogger(__name__)

periodic("access-sweep", "access.sweep", seconds=SWEEP)
periodic("access-reconcile", "access.reconcile", seconds=24 * 3600)


rehearsal(sync.rehearse)


@job(service.SYNC, queue="routers", timeout=600)
def synchronise(router_id: int, force: bool = False) -> None:
    """Make a router's lists say what is wanted, and record what it answered.

    It may run twice, beside another or be killed anywhere: the lease lets one in, what is sent is the
    difference to what was just read, and only what was answered is recorded.
    """
    _rounds(router_id, force)


@job(service.SYNC_AWAY, queue="away", timeout=600, together=True)
def synchronise_away(calls: list[tuple[int, bool]]) -> None:
    """The same for routers that did not answer last time: their place in the queue is behind those that do, and they
    are asked at once."""
    knocking.work_off(calls, service.SYNC, _rounds)


def _rounds(router_id: int, force: bool, silence: knocking.Silence | None = None) -> None:
    owner = uuid4().hex
    try:
        for number in range(1, ROUNDS + 1):
            if not _round(router_id, owner, force=force or number > 1, keep=number < ROUNDS, silence=silence):
                return
    except sync.LeaseLost:
        log.warning("router %s: the lease ran out, another job goes on", router_id)
    except BaseException:
        write(lambda: sync.release(router_id, owner))
        raise


def _round(router_id: int, owner: str, *, force: bool, keep: bool, silence: knocking.Silence | None) -> bool:
    """One synchronisation; True where another one is due. ``silence``: the router has just been asked, and did not let
    us in."""
    order = write(lambda: sync.claim(router_id, owner, force=force))
    if order is None:
        return False
    if service.unwarranted(router_id):
        write(lambda: service.recheck(router_id))
    plan = sync.read_plan(router_id, order)
    news = sync.unnoted(plan)
    session().rollback()
    if news:
        write(lambda: sync.note(plan, owner, news))
    if silence is None:
        with transcripts.transcribed() as transcript, kept(lambda: sync.renew(router_id, owner)):
            result = converse(
                plan,
                lambda: write(lambda: sync.renew(router_id, owner)),
                lambda records: write(lambda: sync.remember(plan, owner, records)),
            )
    else:
        result, transcript = Result(False, silence.error, silence.detail), silence.transcript
    changed = sync.changes(plan, result)

    def record() -> bool:
        again = sync.record(plan, result, changed, owner, keep=keep)
        transcripts.record(router_id, transcript, result.error)
        return again

    return write(record)


@job("access.sweep", queue="routers", timeout=60)
def sweep() -> None:
    """Often: start the synchronisations that are due (lost orders, ended pauses), look after outages."""
    with transaction():
        answering = outages.watch()
        service.request_sync(answering)
        service.enqueue_syncs_after_commit(service.due_syncs(clock.now()), force=False)
        unfinished, unlooked = rules.unfinished(), verdicts.unlooked()
        after_commit(lambda: rules.enqueue(unfinished))
        after_commit(lambda: verdicts.enqueue(unlooked))


@job(outages.ALERTS, queue="routers", timeout=60)
def tell() -> None:
    """One e-mail for the work that has begun to wait."""
    with transaction():
        outages.tell_waiting()


@job("access.reconcile", queue="routers", timeout=60)
def reconcile() -> None:
    """Once a day: look at every router, so that what others changed there is found, counted and put right."""
    with transaction():
        routers = service.all_routers()
        off = service.silent(routers)
        enqueue_after_commit(
            [(COUNT_AWAY if router_id in off else COUNT, (router_id,), f"count-{router_id}") for router_id in routers]
        )


@job(COUNT, queue="routers", timeout=300)
def count(router_id: int) -> None:
    """Count how far a router is from what is wanted, keep the counts, and order that it be put right. Twice is no
    harm: another line of counts."""
    found, error = None, ""
    try:
        found = differences.look(router_id)
    except GatewayError as failure:
        error = failure.code.value
    finally:
        session().rollback()
    _note_count(router_id, found, error)


@job(COUNT_AWAY, queue="away", timeout=600, together=True)
def count_away(calls: list[tuple[int]]) -> None:
    """The same for routers that did not answer last time."""
    knocking.work_off(calls, COUNT, lambda router_id, silence: _note_count(router_id, None, silence.error))


def _note_count(router_id: int, found: differences.Found | None, error: str) -> None:
    with transaction():
        differences.record(router_id, found, error)
        if found is not None and (found.ipv6 or found.orphans):
            sync.mind_ipv6(router_id)
        service.request_sync([router_id])
        if found is not None:  # it answers: its rules are looked at, too
            after_commit(lambda: verdicts.enqueue([router_id]))
