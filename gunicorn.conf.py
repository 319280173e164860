"""What gunicorn does beside its command line."""

from typing import Any

from wisp.portal import rehearse


def post_worker_init(worker: Any) -> None:
    """A process is there, and takes nobody yet."""
    rehearse(worker.wsgi)
