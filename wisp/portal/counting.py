"""Looks at the client pages are written down beside the pages, many in one transaction: a storm of clients must not
wait for a write of each. What a killed process had not written yet (PAUSE seconds of looks) is not counted."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from threading import Lock, Thread

from wisp.core import clock
from wisp.core.db import write
from wisp.portal import service
from wisp.portal.service import Glance, Visitor

PAUSE = 0.05
"""Seconds in which looks gather."""

log = logging.getLogger(__name__)


@dataclass
class Counter:
    """The looks of this process that are not written yet, and the thread that writes them while there are any.
    ``context``: of the application, for the thread."""

    context: Callable[[], AbstractContextManager[object]]
    lock: Lock = field(default_factory=Lock)
    waiting: dict[int, Glance] = field(default_factory=dict)
    writer: Thread | None = None

    def count(self, visitor: Visitor) -> None:
        """Have it written soon that the visitor saw its page now, if that is one more look to count."""
        if not service.must_count(visitor):
            return
        glance = Glance(visitor.client_id, visitor.day, clock.now(), visitor.state == "notice")
        with self.lock:
            known = self.waiting.get(glance.client_id)
            if known is None or (glance.notice and not known.notice):
                self.waiting[glance.client_id] = glance
            if self.writer is None:
                writer = Thread(target=self._write, name="looks")  # no daemon: the process ends after it
                writer.start()
                self.writer = writer

    def settle(self) -> None:
        """Wait until all is written."""
        writer = self.writer
        if writer is not None:
            writer.join()

    def _write(self) -> None:
        while True:
            time.sleep(PAUSE)
            with self.lock:
                glances, self.waiting = list(self.waiting.values()), {}
                if not glances:
                    self.writer = None
                    return
            try:
                with self.context():
                    write(partial(service.seen, glances))
            except Exception:
                log.warning("%s looks at notice pages were not counted", len(glances), exc_info=True)
