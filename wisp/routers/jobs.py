"""Jobs of routers: asking how they are. They may run twice: the newest answer counts."""

from wisp.core.db import session, transaction
from wisp.core.queue import job, periodic
from wisp.routers import health

periodic("routers-probe", "routers.probe_all", seconds=60)


@job("routers.probe_all", queue="routers", timeout=600)
def probe_all() -> None:
    """Ask every router, many at a time, and write each answer down as it comes."""
    _probe(None)


@job("routers.probe", queue="routers", timeout=60)
def probe(router_id: int) -> None:
    """Ask one router."""
    _probe([router_id])


def _probe(router_ids: list[int] | None) -> None:
    wanted = health.targets(router_ids)
    session().rollback()  # no transaction, not even a reading one, stays open while the network is waited for
    for router_id, found, asked_at in health.ask_all(wanted):
        with transaction():
            health.record(router_id, found, asked_at)
