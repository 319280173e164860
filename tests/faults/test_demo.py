"""``make demo`` starts everything, beside another copy too, and leaves nothing running, however it ends."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import ROOT, shared, worker
from tests.support.processes import until
from wisp.core.process import following

CLIENTS = 30


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def belonging_to(folder: Path) -> list[int]:
    """The processes whose environment or command names the demo's folder."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            text = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in text:
            found.append(int(process.name))
    return found


class Copy:
    """A running demo."""

    def __init__(self, name: str) -> None:
        self.folder = shared() / f"{worker()}-{name}"
        self.folder.mkdir()
        self.port = free_port()
        self.output = self.folder / "output"
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        with self.output.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "wisp.demo.launch"],
                cwd=ROOT,
                env={**inherited, "PORT": str(self.port), "WISP_DATA": str(self.folder), "CLIENTS": str(CLIENTS)},
                stdout=stream,
                stderr=stream,
                preexec_fn=following(signal.SIGKILL),
            )

    def ready(self) -> "Copy":
        """Wait until it says where it is."""
        until(lambda: "Ctrl-C" in self.output.read_text() or self.process.poll() is not None, 180)
        assert self.process.poll() is None, self.output.read_text()
        return self

    def page(self, path: str) -> str:
        """A page of it, as text."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            return str(answer.read().decode())

    def end(self, how: signal.Signals) -> int:
        """End it so, and wait until none of its processes is left."""
        self.process.send_signal(how)
        code = self.process.wait(30)
        until(lambda: not belonging_to(self.folder), 20)
        return code


@pytest.fixture
def copies() -> Iterator[list[Copy]]:
    made: list[Copy] = []
    yield made
    for copy in made:
        if copy.process.poll() is None:
            copy.process.terminate()
            copy.process.wait(30)


def test_two_copies_run_beside_each_other_and_end_with_nothing_left(copies: list[Copy]) -> None:
    copies += [Copy("demo-1"), Copy("demo-2")]
    for copy in copies:
        copy.ready()
        assert 'name="password"' in copy.page("/demo/correo/")  # asks who it is
        assert "admin@demo.example" in copy.output.read_text()
        assert len(belonging_to(copy.folder)) >= 8
    assert copies[0].end(signal.SIGINT) == 0
    assert 'name="password"' in copies[1].page("/demo/correo/")
    assert copies[1].end(signal.SIGTERM) == 0


def test_a_killed_demo_leaves_nothing_running(copies: list[Copy]) -> None:
    copies.append(Copy("demo-killed"))
    copies[0].ready()
    assert copies[0].end(signal.SIGKILL) == -signal.SIGKILL


def test_a_taken_port_is_said(copies: list[Copy]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [sys.executable, "-m", "wisp.demo.launch"],
            cwd=ROOT,
            env={**os.environ, "PORT": str(taken.getsockname()[1])},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "is taken" in done.stdout
