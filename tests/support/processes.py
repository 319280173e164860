"""Processes of the program, started for a test and never left running."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from wisp.core.process import following

ROOT = Path(__file__).resolve().parent.parent.parent
T = TypeVar("T")


def until(what: Callable[[], T], seconds: float = 30) -> T:
    """Wait until ``what()`` is true and return it; fail after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)


class Program:
    """One running ``flask`` command; use as a context manager. Its output goes to ``output``."""

    def __init__(self, *command: str, environment: Mapping[str, str], output: Path, app: str = "app") -> None:
        self.output = output
        with output.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flask", "--app", app, *command],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                preexec_fn=following(signal.SIGKILL),
            )

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = 20) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(how)
        return self.process.wait(seconds)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            print(self.output.read_text())


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
