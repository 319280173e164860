"""Worker processes that kill themselves with SIGKILL at a chosen place, quickly: one process holds the program loaded
and forks a child for each death.

The place is just before the n-th commit: all that its transaction wrote is lost, all that followed the commit before
(a job enqueued, a router told) may have happened. Beyond the last commit the child comes through.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tests.support.processes import ROOT
from wisp.core.process import following


class Mortals:
    """Starts the process that forks; use as a context manager."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.dying"],
            cwd=ROOT, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=following(signal.SIGKILL),
        )  # fmt: skip

    def __enter__(self) -> "Mortals":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def work(self, job: str, *args: Any, now: datetime, n: int, chunk: int = 10) -> bool:
        """Let a process do ``job`` and what it enqueues; True where it came through, False where it was killed.

        With ``n`` = 0 nobody dies, and the process that forks does it itself: it is quicker from then on.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"job": job, "args": args, "now": now.isoformat(), "n": n, "chunk": chunk}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        assert status in (0, signal.SIGKILL), f"the worker ended with {status}"
        return status == 0


def _perform(order: dict[str, Any], app: Any) -> None:
    """Do the job, die on the way."""
    from sqlalchemy.orm import Session

    from wisp.core import clock, queue
    from wisp.tasks import runner

    real, commits = Session.commit, iter(range(1, 1_000_000))

    def commit(self: Session) -> None:
        if next(commits) == order["n"]:
            os.kill(os.getpid(), signal.SIGKILL)
        real(self)

    if order["n"]:
        Session.commit = commit  # type: ignore[method-assign]
    runner.work.__defaults__ = (order["chunk"],)
    with app.app_context(), clock.frozen(datetime.fromisoformat(order["now"])), queue.inline():
        queue.enqueue(order["job"], *order["args"])


def main() -> None:
    """Read orders, one a line; fork for each; answer with how the child ended."""
    from wisp.core.db import db
    from wisp.factory import create_app

    app = create_app()
    for line in sys.stdin:
        order = json.loads(line)
        if order["n"] == 0:
            _perform(order, app)
            with app.app_context():
                db.engine.dispose()  # children must not share a connection
            print(0, flush=True)
            continue
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _perform(order, app)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else os.WTERMSIG(status), flush=True)


if __name__ == "__main__":
    main()
