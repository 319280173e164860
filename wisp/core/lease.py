"""Leases: who works at something says so in its row for LEASE, and again and again while the work goes on.

Whoever was killed says so no more, so that another goes on there soon after.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread

from flask import Flask, current_app

from wisp.core.db import write

LEASE = timedelta(seconds=20)
"""How long a worker may be silent before another takes its work."""
SWEEP = 30
"""Seconds between two looks for work that nobody is at any more. With LEASE it is less than a minute."""
EVERY = 5.0

log = logging.getLogger(__name__)


@contextmanager
def kept(renew: Callable[[], object], every: float = EVERY) -> Iterator[None]:
    """Call ``renew``, in a transaction of its own, every so many seconds while the block waits for somebody else.

    Where it fails (the lease is another's by now) that ends; the block meets it when it writes.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    over = Event()

    def beat() -> None:
        while not over.wait(every):
            try:
                with app.app_context():
                    write(renew)
            except Exception as error:
                log.warning("a lease could not be renewed: %s", error)
                return

    thread = Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
