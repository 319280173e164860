"""Addresses for machines that watch the program. They say no more than whether it answers."""

from flask import Blueprint, Response

from wisp.core import health
from wisp.web.access import public

bp = Blueprint("health", __name__)


@bp.get("/salud")
@public
def alive() -> Response:
    """200 where this process answers."""
    return Response("ok\n", mimetype="text/plain")


@bp.get("/salud/listo")
@public
def ready() -> Response:
    """200 where database, queue, a worker and a scheduler answer; else 503 with a line each."""
    missing = health.unready()
    if not missing:
        return alive()
    return Response("".join(f"{part} does not answer\n" for part in missing), 503, mimetype="text/plain")
