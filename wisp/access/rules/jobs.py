"""The job that installs or takes away the rules of a router."""

from wisp.access.rules import service
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
    with transaction():
        service.record(task, outcome)
