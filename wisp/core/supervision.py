"""``make run``: the processes of the Procfile, each started anew where it dies, by supervisor.

``python -m wisp.core.supervision`` does what the Procfile calls ``release``, writes supervisor's configuration into the
data folder and becomes supervisord. Ctrl-C or SIGTERM ends all; where supervisord itself is killed, they end too. The
environment: PORT, HOST, WORKERS and WEB_WORKERS (processes of each), and what every process reads.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from wisp.core import config, serving
from wisp.core.embedded_redis import EmbeddedRedis, RedisInUse
from wisp.core.process import SUPERVISOR

ROOT = Path(__file__).resolve().parent.parent.parent
RELEASE = "release"
MASTER = """[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={folder}/supervisord.pid
childlogdir={folder}
umask=077
{user}
[group:wisp]
programs={names}
priority=100
"""
# Up for three seconds counts as started. What dies later is started anew at once; what dies before, after a pause that
# is a second longer each time, without end. All of a group are told to stop together, Redis (priority 1) last.
PROGRAM = """
[program:{name}]
command={command}
directory={root}
numprocs={count}
process_name=%(program_name)s-%(process_num)d
priority={priority}
autorestart=true
startsecs=3
startretries=1000000
stopwaitsecs=5
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile=/dev/fd/1
stdout_logfile_maxbytes=0
"""


def procfile() -> dict[str, str]:
    """The commands of the Procfile by name."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    pairs = (line.partition(":") for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): command.strip() for name, _colon, command in pairs}


def configuration(folder: Path, counts: Mapping[str, int], redis: bool) -> str:
    """supervisord's configuration: a program for each line of the Procfile, and one for the embedded ``redis``."""
    commands = {name: command for name, command in procfile().items() if name != RELEASE}
    user = "user=root" if os.getuid() == 0 else ""  # else it warns that nobody said so
    parts = [MASTER.format(folder=_plain(str(folder)), user=user, names=",".join(commands))]
    if redis:
        parts.append(_program("redis", "exec python -m wisp.core.embedded_redis", 1, 1))
    parts += [_program(name, command, counts.get(name, 1), 100) for name, command in commands.items()]
    return "".join(parts)


def _program(name: str, command: str, count: int, priority: int) -> str:
    line = _plain(shlex.join(["/bin/sh", "-c", command]))
    return PROGRAM.format(name=name, command=line, root=_plain(str(ROOT)), count=count, priority=priority)


def _plain(text: str) -> str:
    """``text`` for supervisor, which would fill in what stands behind a percent sign."""
    return text.replace("%", "%%")


def _count(name: str) -> int:
    raw = os.environ.get(name, "").strip() or "2"
    if not (raw.isascii() and raw.isdigit() and 1 <= int(raw) <= 99):
        raise config.ConfigError(f"{name} must be a number of processes from 1 to 99, not {raw!r}")
    return int(raw)


def _check_free(settings: config.Config) -> None:
    """Nobody else may serve at the address (the processes share it, so they would not notice) or use the folder."""
    host, port = serving.address(os.environ)
    try:
        for listening in serving.listen(host, port):
            listening.close()
    except OSError as error:
        raise config.ConfigError(f"PORT or HOST cannot be used: {host}:{port}: {error.strerror or error}") from None
    if settings.redis_embedded:
        try:
            EmbeddedRedis(settings.data / "redis").lock().close()
        except RedisInUse as folder:
            raise config.ConfigError(f"WISP_DATA is used by another copy of the program: {folder}") from None


def main() -> NoReturn:
    """Prepare, and be the supervisor from now on."""
    os.umask(0o077)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with config.told_in_one_line():
        settings = config.load()
        counts = {"web": _count("WEB_WORKERS"), "worker": _count("WORKERS")}
        _check_free(settings)
    try:
        prepared = subprocess.run(["/bin/sh", "-c", procfile()[RELEASE]], cwd=ROOT, check=False)  # noqa: S603 - our own
    except KeyboardInterrupt:
        sys.exit(1)
    if prepared.returncode:
        sys.exit(prepared.returncode)
    folder = settings.data / "run"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / "supervisord.conf"
    file.write_text(configuration(folder, counts, settings.redis_embedded))
    os.environ[SUPERVISOR] = str(os.getpid())
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(file)]
    os.execv(command[0], command)  # noqa: S606 - our own


if __name__ == "__main__":
    main()
