"""Jobs of the import from the router. Each may run twice."""

import logging

from wisp.access.importing import confirming, service, talk
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.queue import job, periodic
from wisp.gateway import GatewayError
from wisp.routers.models import Router

log = logging.getLogger(__name__)

periodic("access-import-forget", "access.import_forget", seconds=24 * 3600)


@job(confirming.JOB, queue="routers", timeout=180)
def remove(router_id: int) -> None:
    """Take off the entries of another system that a person gave up, where ours stand by now.

    Twice is no harm: an entry that is gone is gone, and one that is another by now stays. Where the router does not
    answer they wait; the next synchronisation that reaches it begins anew.
    """
    removals = confirming.removals(router_id)
    if not removals:
        return
    try:
        target = service.target(session().get_one(Router, router_id))
        session().rollback()
        outcomes = talk.remove(target, removals)
    except (GatewayError, Refused) as error:
        log.warning("router %s: entries of another system could not be taken off: %s", router_id, error)
        return
    finally:
        session().rollback()
    with transaction():
        confirming.record(router_id, outcomes)


@job("access.import_forget", queue="routers", timeout=60)
def forget() -> None:
    """Once a day: throw away the reviews that nobody went on with."""
    with transaction():
        service.forget_old()
