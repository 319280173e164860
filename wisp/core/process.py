"""Child processes that never outlive the one that started them, also where that one is killed."""

import ctypes
import os
import signal
import threading
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
SUPERVISOR = "WISP_SUPERVISOR"
"""The variable in which our supervisor says its process id."""
_libc = ctypes.CDLL(None, use_errno=True)


def follow_parent(parent: int, how: signal.Signals = signal.SIGTERM) -> None:
    """In a child: ask the kernel to send ``how`` when ``parent`` ends; end at once where it has ended already.

    The signal belongs to the parent's *thread* that forked, so children are to be started from a main thread.
    """
    _libc.prctl(PR_SET_PDEATHSIG, int(how))
    if os.getppid() != parent:
        os._exit(1)


def following(how: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """A ``preexec_fn`` for subprocess.Popen that ties the child's life to this process."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a child that follows its parent must be started from the main thread")
    parent = os.getpid()
    return lambda: follow_parent(parent, how)


def supervised() -> bool:
    """Whether our supervisor started this process; if so, it ends with the supervisor from now on."""
    supervisor = os.environ.get(SUPERVISOR, "")
    if supervisor:
        follow_parent(int(supervisor))
    return bool(supervisor)
