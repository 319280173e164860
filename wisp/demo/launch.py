"""``make demo``: the whole program on this machine, with a simulated router and a local mail box; Ctrl-C ends all.

Everything lives in a folder of its own (a temporary one, gone at the end, unless WISP_DATA names one), and every
process ends with this one, also where it is killed. Several copies run beside each other on different ports.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wisp.core.embedded_redis import EmbeddedRedis, RedisInUse
from wisp.core.process import follow_parent, following

OWN = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "WISP_KEY", "WISP_ENV", "WISP_PROXIES", "WISP_URL")
PATIENCE = 12.0


class Stopped(Exception):
    """Somebody asked for the end."""


class Demo:
    """The running processes and their folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.environment: dict[str, str] = {
            **{name: value for name, value in os.environ.items() if name not in OWN and not name.startswith("MAIL_")},
            "WISP_DATA": str(folder),
            "WISP_URL": f"http://127.0.0.1:{port}",
            "WISP_DEMO": str(folder),
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_DEFAULT_SENDER": "cobranza@demo.example",
            "FLASK_APP": "app.py",
            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
            "PYTHONUNBUFFERED": "1",
            "HOST": "127.0.0.1",
            "PORT": str(port),
        }

    def start(self, name: str, *command: str, answers: bool = False) -> Mapping[str, Any]:
        """Start one process, its messages in ``<name>.log``; where it ``answers``, wait for its line of JSON."""
        with (self.folder / f"{name}.log").open("a") as log:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                [sys.executable, "-m", *command],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if answers else log,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C comes to us alone, and we end them in order
                preexec_fn=following(),
            )
        self.processes[name] = process
        if not answers:
            return {}
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"{name} did not start:\n{self.tail(name)}")
        answer: Mapping[str, Any] = json.loads(line)
        return answer

    def prepare(self) -> list[list[str]]:
        """Start the router and the mail box, make and fill the database; returns the log-ins."""
        seeded = (self.folder / "wisp.db").exists()
        clients = os.environ.get("CLIENTS", "5000")
        router = self.start("router", "wisp.demo.routeros", "--demo", "--clients", clients, answers=True)
        mail = self.start("mail", "wisp.demo.mailsink", "--folder", str(self.folder / "mail"), answers=True)
        self.environment |= {"MAIL_PORT": str(mail["port"]), "WISP_DEMO_ROUTER": str(router["control"])}
        if not seeded:
            say(f"making the demo company with {clients} clients …")
        answer = self.start(
            "seed", "wisp.demo.seed", "--router", str(router["port"]), "--clients", clients, answers=True
        )
        self.processes.pop("seed").wait()
        logins: list[list[str]] = answer["logins"]
        return logins

    def serve(self) -> None:
        """Start the program as ``make run`` does; returns once pages are served."""
        self.start("program", "wisp.core.supervision")
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            self.check()
            time.sleep(0.1)

    def check(self) -> None:
        """Raise where a process has ended by itself."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise RuntimeError(f"{name} has ended (exit code {process.returncode}):\n{self.tail(name)}")

    def stop(self) -> None:
        """End all in good order, then without."""
        for process in reversed(self.processes.values()):
            process.terminate()
        end = time.monotonic() + PATIENCE
        for process in self.processes.values():
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def tail(self, name: str) -> str:
        """The last lines that a process wrote."""
        file = self.folder / f"{name}.log"
        return "\n".join(file.read_text(errors="replace").splitlines()[-15:]) if file.exists() else ""


def say(text: str) -> None:
    """One line for the person at the terminal."""
    print(text, flush=True)


def port_is_free(port: int) -> bool:
    """Whether the address for the pages can be had."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def announce(port: int, logins: list[list[str]]) -> None:
    """Say where it is and how to get in."""
    address = f"http://127.0.0.1:{port}"
    say(f"\n  Wisp           {address}\n")
    for user, password, role in logins:
        say(f"  {role:<13}  {user}   {password}")
    say(f"\n  mail box       {address}/demo/correo/")
    say(f"  router         {address}/demo/router/   (switch it off, slow, on)")
    say("\n  Ctrl-C ends everything.\n")


def run(folder: Path, port: int) -> None:
    """Run the demo in ``folder`` until stopped. What dies of the program is started anew by its supervisor."""
    demo = Demo(folder, port)
    try:
        with EmbeddedRedis(folder / "redis"):  # later the supervisor's; what waits in it is in its file by then
            logins = demo.prepare()
        demo.serve()
        announce(port, logins)
        while True:
            time.sleep(0.5)
            demo.check()
    finally:
        for which in (signal.SIGINT, signal.SIGTERM):
            signal.signal(which, signal.SIG_IGN)  # the end is under way
        demo.stop()


def main() -> int:
    """The exit code: 0 where a person ended it."""
    port = int(os.environ.get("PORT") or 8000)
    if not port_is_free(port):
        say(f"port {port} is taken; choose another: make demo PORT={port + 1}")
        return 1
    follow_parent(os.getppid(), signal.SIGTERM)

    def stop(*_: object) -> None:
        raise Stopped

    for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(which, stop)
    os.umask(0o077)
    kept = os.environ.get("WISP_DATA", "")
    folder = Path(kept).resolve() if kept else Path(tempfile.mkdtemp(prefix="wisp-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run(folder, port)
    except Stopped:
        say("stopped")
    except RedisInUse:
        say(f"another copy uses {folder}; set WISP_DATA to another folder")
        return 1
    except RuntimeError as error:
        say(f"{error}\nThe messages of all processes are in {folder}")
        return 1
    if not kept:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
