"""What gunicorn does beside its command line.

Only the processes import the program: what gunicorn itself had imported would stay as it is through a reload.
"""

from typing import Any


def post_worker_init(worker: Any) -> None:
    """A process is there, and takes nobody yet."""
    from wisp.portal import rehearse

    rehearse(worker.wsgi)
