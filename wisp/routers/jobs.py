"""Jobs of routers: asking how they are. They may run twice: a router that is being asked is left alone meanwhile."""

from wisp.core.db import session, transaction
from wisp.core.queue import job, periodic
from wisp.routers import health

periodic("routers-probe", "routers.probe_due", seconds=health.TICK)


@job("routers.probe_due", queue="routers", timeout=300)
def probe_due() -> None:
    """Ask every router whose time has come, many at a time, and write each answer down as it comes."""
    ids = health.due()
    if ids:
        _probe(ids, only_due=True)
    session().rollback()


@job("routers.probe", queue="routers", timeout=60)
def probe(router_id: int) -> None:
    """Ask one router now, unless it is being asked."""
    _probe([router_id], only_due=False)


def _probe(router_ids: list[int], *, only_due: bool) -> None:
    with transaction():
        mine = health.claim(router_ids, only_due=only_due)
    wanted = health.targets(mine, patience=health.PATIENCE)
    session().rollback()  # no transaction, not even a reading one, stays open while the network is waited for
    for router_id, found, asked_at in health.ask_all(wanted):
        with transaction():
            health.record(router_id, found, asked_at)
            health.release(router_id)
