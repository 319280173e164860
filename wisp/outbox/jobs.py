"""Jobs of the outbox. Both may run twice and beside one another: rows are leased, see ``wisp.outbox.delivery``."""

from wisp.core.db import session, transaction
from wisp.core.lease import SWEEP
from wisp.core.queue import is_inline, job, periodic
from wisp.outbox import delivery, server, service

periodic("outbox-sweep", "outbox.sweep", seconds=SWEEP)


@job(service.DELIVER, queue="mail", timeout=600)
def deliver() -> None:
    """Send what is due; where the time was not enough, ask for another turn. Where a person waits for it, the mail
    server is asked although it failed a moment ago."""
    if delivery.deliver(despite_pause=is_inline()).state == "more":
        service.wake()


@job("outbox.sweep", queue="mail", timeout=60)
def sweep() -> None:
    """Hold what has grown too old, and wake the delivery where something is due: a pause has passed, a request was
    lost with Redis, a deliverer died."""
    with transaction():
        service.hold_old()
    waiting = service.due() and not server.paused()
    session().rollback()
    if waiting:
        service.wake()
