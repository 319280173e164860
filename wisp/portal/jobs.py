"""The job of the client pages: notices whose pause is over come back."""

from wisp.core.db import transaction
from wisp.core.queue import job, periodic
from wisp.portal import service

ROUNDS = 100

periodic("portal-remind", "portal.remind", seconds=600)


@job("portal.remind", queue="runs", timeout=300)
def remind() -> None:
    """Put notices back after their pause. It may run twice: what was put back has no pause left."""
    for _ in range(ROUNDS):
        with transaction():
            ended, _back = service.remind()
        if ended < service.CHUNK:
            return
