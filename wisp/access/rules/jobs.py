"""The jobs that install, take away and look at the rules of a router."""

from wisp.access.rules import service, verdicts
from wisp.core.db import session, transaction
from wisp.core.queue import job


@job(service.JOB, queue="routers", timeout=300)
def work(router_id: int) -> None:
    """Carry out the open order of a router. It may run twice or be killed anywhere: what is sent is the difference to
    what was just read, and an order is done only once its outcome is written down."""
    task = service.task(router_id)
    session().rollback()  # nothing stays open while the network is waited for
    if task is None:
        return
    outcome = service.carry_out(task)
    # A router that could not be reached is not asked again.
    seen = verdicts.Seen(error=outcome["error"]) if outcome["error"] else verdicts.look(router_id)
    with transaction():
        service.record(task, outcome)
        verdicts.record(router_id, seen)


@job(verdicts.LOOK, queue="routers", timeout=120)
def look(router_id: int) -> None:
    """Look at the rules of a router and keep the verdict. Twice is no harm: the later look counts."""
    seen = verdicts.look(router_id)
    with transaction():
        verdicts.record(router_id, seen)
