"""The environment: defaults, and one line for whatever is wrong."""

import stat
from pathlib import Path

import pytest

from wisp.core import config

SECRETS = {"SECRET_KEY": "s" * 40, "WISP_KEY": "A" * 43 + "="}
PRODUCTION = {**SECRETS, "WISP_ENV": "production", "WISP_URL": "https://wisp.example.com"}


def test_everything_has_a_default_outside_production(tmp_path: Path) -> None:
    found = config.load({"WISP_DATA": str(tmp_path / "data")})
    assert found.env == "development"
    assert found.database_url == f"sqlite:///{tmp_path}/data/wisp.db"
    assert found.redis_embedded
    assert (found.mail_server, found.mail_port, found.mail_use_tls) == ("", 25, False)
    for name in ("wisp.key", "secret.key"):
        assert stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) == 0o600
    assert config.load({"WISP_DATA": str(tmp_path / "data")}).secret_key == found.secret_key


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WISP_ENV", "prod"),
        ("WISP_KEY", "short"),
        ("WISP_URL", "ftp://wisp.example.com"),
        ("WISP_URL", "https://"),
        ("WISP_PROXIES", "10.0.0.1, proxy"),
        ("WISP_DATA", "/proc/no-such-folder"),
        ("DATABASE_URL", "mysql://h/d"),
        ("DATABASE_URL", "sqlite"),
        ("DATABASE_URL", "postgresql://u:p@h:port/d"),
        ("REDIS_URL", "http://h"),
        ("REDIS_URL", "redis://u:p@[h"),
        ("MAIL_PORT", "0"),
        ("MAIL_PORT", "smtp"),
        ("MAIL_USE_TLS", "yes"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_value_ends_the_start_with_one_line_that_names_it(
    name: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, config.told_in_one_line():
        config.load({"WISP_DATA": str(tmp_path), **SECRETS, name: value})
    assert end.value.code == 1
    line = capsys.readouterr().err
    assert line.startswith(name)
    assert line.count("\n") == 1
    assert "u:p@" not in line


@pytest.mark.parametrize("name", SECRETS)
def test_production_makes_no_keys(name: str, tmp_path: Path) -> None:
    rest = {key: value for key, value in PRODUCTION.items() if key != name}
    with pytest.raises(config.ConfigError, match=name):
        config.load({"WISP_DATA": str(tmp_path), **rest})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "s" * 31),
        ("WISP_URL", ""),
        ("WISP_URL", "http://wisp.example.com"),
        ("WISP_DEMO", "/srv/demo"),
        ("REDIS_URL", "redis://queue.example.com:6379/0"),
        ("REDIS_URL", "redis://user@127.0.0.1"),
        ("REDIS_URL", "rediss://queue.example.com"),
    ],
)
def test_production_refuses_what_is_not_safe(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match=f"^{name} must"):
        config.load({"WISP_DATA": str(tmp_path), **PRODUCTION, name: value})
    if value:
        config.load({"WISP_DATA": str(tmp_path), **PRODUCTION, name: value, "WISP_ENV": "development"})


@pytest.mark.parametrize(
    "url", ["", "redis://:pw@h:6379/0", "rediss://u:pw@h", "redis://h/0?password=pw", "unix:///run/redis.sock"]
)
def test_production_takes_a_redis_that_asks_who_it_is(url: str, tmp_path: Path) -> None:
    found = config.load({"WISP_DATA": str(tmp_path), **PRODUCTION, "REDIS_URL": url})
    assert found.redis_embedded == (not url)


def test_the_data_folder_is_for_its_owner_alone_also_where_it_was_not(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    config.load({"WISP_DATA": str(folder)})
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o1777)  # one that all share stays as it is
    config.load({"WISP_DATA": str(folder)})
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777


def test_postgresql_is_psycopg_sockets_included(tmp_path: Path) -> None:
    found = config.load({"WISP_DATA": str(tmp_path), "DATABASE_URL": "postgresql://u@/wisp?host=/run/pg"})
    assert found.database_url == "postgresql+psycopg://u@/wisp?host=/run/pg"
