"""Settings of the process, read from the environment once at the start.

A wrong value, or one missing in production, raises ``ConfigError`` with one line that names the variable.
"""

import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography.fernet import Fernet
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

SHORTEST_KEY = 32
"""Characters of a SECRET_KEY in production: it signs every session and every link."""
TRUE = {"1", "true"}
FALSE = {"0", "false", ""}


class ConfigError(Exception):
    """The environment is wrong; the text names the variable and what it should hold."""


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """End the process with one line, and code 1, where the environment is wrong."""
    try:
        yield
    except ConfigError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


@dataclass(frozen=True)
class Config:
    """What the environment says, checked and with the defaults of docs filled in."""

    env: str
    data: Path
    database_url: str
    redis_url: str
    redis_embedded: bool
    secret_key: str = field(repr=False)
    wisp_key: str = field(repr=False)
    url: str
    proxies: tuple[str, ...]
    log_level: str
    mail_server: str
    mail_port: int
    mail_use_tls: bool
    mail_username: str
    mail_password: str = field(repr=False)
    mail_default_sender: str

    @property
    def production(self) -> bool:
        """True where WISP_ENV is ``production``."""
        return self.env == "production"


def _boolean(env: dict[str, str], name: str, default: bool) -> bool:
    raw = env.get(name, "1" if default else "0").strip().lower()
    if raw in TRUE:
        return True
    if raw in FALSE:
        return False
    raise ConfigError(f"{name} must be 1, 0, true or false, not {raw!r}")


def port_of(env: dict[str, str], name: str, default: int) -> int:
    """The port number that the variable ``name`` holds."""
    raw = env.get(name, "").strip() or str(default)
    if not raw.isdigit() or not 1 <= int(raw) <= 65535:
        raise ConfigError(f"{name} must be a port number from 1 to 65535, not {raw!r}")
    return int(raw)


def _database(env: dict[str, str], data: Path) -> str:
    url = env.get("DATABASE_URL", "").strip()
    if not url:
        return f"sqlite:///{data / 'wisp.db'}"
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("sqlite", "postgresql", "postgres", "postgresql+psycopg"):
        raise ConfigError(f"DATABASE_URL must start with sqlite:// or postgresql://, not {scheme.partition(':')[0]!r}")
    url = url if scheme == "sqlite" else f"postgresql+psycopg://{rest}"
    try:
        make_url(url)
    except (ArgumentError, ValueError):  # it may hold a password: it is not repeated
        raise ConfigError("DATABASE_URL must be like postgresql://user:password@host:5432/name") from None
    return url


def _folder(env: dict[str, str]) -> Path:
    data = Path(env.get("WISP_DATA", "").strip() or "data").resolve()
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = data.stat()
        if found.st_uid == os.getuid() and not found.st_mode & stat.S_ISVTX:  # never a folder that all share
            data.chmod(0o700)
    except OSError as error:
        raise ConfigError(f"WISP_DATA must be a folder that can be written to: {error}") from None
    return data


def _proxies(env: dict[str, str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in env.get("WISP_PROXIES", "").split(",") if name.strip())
    for name in names:
        try:
            ip_network(name, strict=False)
        except ValueError:
            raise ConfigError(f"WISP_PROXIES must be addresses or networks with commas, not {name!r}") from None
    return names


def _redis(env: dict[str, str], production: bool) -> str:
    """Who may write to Redis decides what the workers do, so in production a port needs a password; a socket has the
    rights of its file."""
    url = env.get("REDIS_URL", "").strip()
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        password = parts.password or parse_qs(parts.query).get("password")
    except ValueError:  # it may hold a password: it is not repeated
        raise ConfigError("REDIS_URL must be like redis://:password@host:6379/0") from None
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ConfigError("REDIS_URL must start with redis://, rediss:// or unix://")
    if production and parts.scheme != "unix" and not password:
        raise ConfigError("REDIS_URL must hold a password in production, like redis://:password@host:6379/0")
    return url


def _url(env: dict[str, str], production: bool) -> str:
    url = env.get("WISP_URL", "").strip().rstrip("/")
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc):
        raise ConfigError("WISP_URL must be like https://wisp.example.com")
    if production and not url.startswith("https://"):
        raise ConfigError("WISP_URL must be the public address with https:// in production")
    return url


def _key(env: dict[str, str], name: str, file: Path, production: bool, make: str) -> str:
    value = env.get(name, "").strip()
    if value:
        if production and len(value) < SHORTEST_KEY:
            raise ConfigError(f"{name} must be at least {SHORTEST_KEY} characters long in production")
        return value
    if production:
        raise ConfigError(f"{name} is not set: production needs one from the environment")
    if file.exists():
        return file.read_text().strip()
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process of the same start was first
        return file.read_text().strip()
    with os.fdopen(handle, "w") as stream:
        stream.write(make)
    return make


def load(environ: dict[str, str] | None = None) -> Config:
    """Read and check the environment; make the two keys on a first start outside production."""
    env = dict(os.environ if environ is None else environ)
    mode = env.get("WISP_ENV", "").strip() or "development"
    if mode not in ("development", "production"):
        raise ConfigError(f"WISP_ENV must be development or production, not {mode!r}")
    production = mode == "production"
    data = _folder(env)
    wisp_key = _key(env, "WISP_KEY", data / "wisp.key", production, Fernet.generate_key().decode())
    try:
        Fernet(wisp_key)
    except ValueError:
        raise ConfigError("WISP_KEY must be 32 url-safe base64 bytes (44 characters)") from None
    redis_url = _redis(env, production)
    url = _url(env, production)
    if production and env.get("WISP_DEMO", "").strip():
        raise ConfigError("WISP_DEMO must not be set in production: it opens the demo's pages")
    level = (env.get("LOG_LEVEL", "").strip() or "INFO").upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ConfigError(f"LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {level!r}")
    return Config(
        env=mode,
        data=data,
        database_url=_database(env, data),
        redis_url=redis_url or f"unix://{data / 'redis' / 'redis.sock'}",
        redis_embedded=not redis_url,
        secret_key=_key(env, "SECRET_KEY", data / "secret.key", production, secrets.token_urlsafe(48)),
        wisp_key=wisp_key,
        url=url or "http://127.0.0.1:8000",
        proxies=_proxies(env),
        log_level=level,
        mail_server=env.get("MAIL_SERVER", "").strip(),
        mail_port=port_of(env, "MAIL_PORT", 25),
        mail_use_tls=_boolean(env, "MAIL_USE_TLS", False),
        mail_username=env.get("MAIL_USERNAME", ""),
        mail_password=env.get("MAIL_PASSWORD", ""),
        mail_default_sender=env.get("MAIL_DEFAULT_SENDER", ""),
    )
