"""The program as ``make run`` starts it: what dies is started anew, slow visitors keep nobody waiting, and the end is
the end of all. Real processes, one start for all of it."""

import http.client
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.faults.test_demo import belonging_to, free_port
from tests.support import slow
from tests.support.databases import ROOT, shared, worker
from tests.support.processes import alive, until
from wisp.core.process import following

NAMES = ("redis-0", "web-0", "web-1", "worker-0", "worker-1", "scheduler-0")
START = "wisp.core.supervision"


class Running:
    """The program in a folder of its own."""

    def __init__(self) -> None:
        self.folder = shared() / f"{worker()}-run"
        self.folder.mkdir()
        self.port = free_port()
        self.output = shared() / f"{worker()}-run.log"
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        self.environment = {**kept, "WISP_DATA": str(self.folder), "PORT": str(self.port), "WISP_URL": "http://ours"}
        with self.output.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", START],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                preexec_fn=following(signal.SIGKILL),
            )

    def pids(self) -> dict[str, int]:
        """The last process of each name, by what the supervisor has said."""
        found = {}
        for line in self.output.read_text().splitlines():
            if " spawned: '" in line:
                _before, name, rest = line.split("'")
                found[name] = int(rest.split()[-1])
        return found

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Status of a page, and where it sends the visitor."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path, headers={"Host": "ours", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Location", "")
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def ready(self) -> bool:
        """Whether pages, Redis, both workers and the scheduler are at work."""
        try:
            client = Redis(unix_socket_path=str(self.folder / "redis" / "redis.sock"))
            at_work = client.scard("rq:workers") >= 2 and client.zcard("rq:scheduler:scheduled_jobs")
        except RedisError:
            return False
        return bool(at_work) and self.get("/aviso/")[0] == 200


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    made = Running()
    try:
        until(made.ready, 90)
        yield made
    finally:
        if made.process.poll() is None:
            made.process.send_signal(signal.SIGTERM)
            made.process.wait(60)
        print(made.output.read_text())


def test_slow_visitors_keep_nobody_waiting(running: Running) -> None:
    """Connections that say nothing, heads and bodies that drip: each holds a socket, none a thread."""
    with slow.visitors(running.port):
        for _ in range(20):  # both processes
            assert running.get("/aviso/")[0] == 200


def test_nobody_tells_the_server_where_it_is_or_who_asks(running: Running) -> None:
    """Headers become neither SCRIPT_NAME nor the visitor's address, under any spelling."""
    moved = running.get("/aviso/", {"SCRIPT_NAME": "/aviso", "Script-Name": "/aviso", "PATH_INFO": "/"})
    assert moved == (200, "")
    forged = {"X-Forwarded-Proto": "https", "X_Forwarded_Proto": "https", "X-Forwarded-Host": "other"}
    assert running.get("/staff/", forged) == (302, "/entrar/?next=/staff/")


def test_every_file_is_its_owners_alone(running: Running) -> None:
    seen = [running.folder, *running.folder.rglob("*")]
    assert {path.name for path in seen} >= {"wisp.db", "redis.log", "secret.key", "supervisord.conf"}
    assert [path for path in seen if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_a_second_copy_is_told_so_in_one_line(running: Running) -> None:
    for changed, word in (({}, "PORT"), ({"PORT": str(free_port())}, "WISP_DATA")):
        told = subprocess.run(
            [sys.executable, "-m", START],
            cwd=ROOT, env={**running.environment, **changed}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert told.returncode == 1
        assert told.stderr.startswith(word)
        assert told.stderr.count("\n") == 1


def test_what_is_killed_is_started_anew_and_the_pages_stay(running: Running) -> None:
    before = running.pids()
    assert set(before) == set(NAMES)
    for name in NAMES:
        if name != "web-1":
            os.kill(before[name], signal.SIGKILL)
            until(lambda name=name: running.pids()[name] != before[name])
            until(lambda: running.get("/aviso/")[0] == 200)
    until(running.ready, 60)
    assert running.process.poll() is None
    said = running.output.read_text()
    assert all(f"exited: {name} (terminated by SIGKILL; not expected)" in said for name in NAMES if name != "web-1")


def test_the_end_is_the_end_of_all(running: Running) -> None:
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0
    assert not any(alive(pid) for pid in running.pids().values())
    until(lambda: not belonging_to(running.folder), 20)
