"""Puts the program together: extensions, slices, events, start-up checks."""

import importlib
import logging
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask
from redis.backoff import NoBackoff
from redis.retry import Retry

from wisp.core import config, db, extensions, processes
from wisp.web import access, frame, health_views

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = 16
"""Of a process to the database that stay open once they were needed; beyond them one is opened and closed each time."""
SLICES = (
    "settings", "outbox", "schedules", "routers", "staff", "clients", "invoices", "access", "payments", "tasks",
    "bulk", "dashboard", "portal", "demo",
)  # fmt: skip


def create_app(settings: config.Config | None = None) -> Flask:
    """The application, ready to serve, to run jobs or commands. Raises ConfigError on a wrong environment."""
    wisp = settings or config.load()
    logging.basicConfig(level=wisp.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    app = Flask("wisp", root_path=str(ROOT), template_folder="templates", static_folder="static")
    app.config.update(
        WISP=wisp,
        SECRET_KEY=wisp.secret_key,
        SQLALCHEMY_DATABASE_URI=wisp.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=db.engine_options(wisp.database_url, CONNECTIONS),
        BABEL_DEFAULT_LOCALE="es",
        BABEL_TRANSLATION_DIRECTORIES=str(ROOT / "wisp" / "translations"),
        WTF_CSRF_TIME_LIMIT=None,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SECURE=wisp.url.startswith("https://"),
        MAX_CONTENT_LENGTH=16 * 1024 * 1024,
        PERMANENT_SESSION_LIFETIME=timedelta(days=30),  # of the cookie; the session itself is a row (staff.sessions)
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(days=365),
        **_limits(wisp.redis_url),
    )
    wisp.data.mkdir(parents=True, exist_ok=True)
    _bind(app)
    frame.init_app(app)
    app.register_blueprint(health_views.bp)
    _slices(app)
    _wire()
    access.check(app)
    return app


def _limits(redis_url: str) -> dict[str, Any]:
    """Counters of the throttle: shared by all processes in Redis; in memory, and without a wait, while it is away."""
    scheme = "redis+unix" if redis_url.startswith("unix://") else redis_url.partition("://")[0]
    options = {"socket_connect_timeout": 1, "socket_timeout": 1, "retry": Retry(NoBackoff(), 0)}
    return {
        "RATELIMIT_STORAGE_URI": f"{scheme}://{redis_url.partition('://')[2]}",
        "RATELIMIT_STORAGE_OPTIONS": options,
    }


def _bind(app: Flask) -> None:
    """Extensions, then the listeners that must be there before the first connection."""
    db.db.init_app(app)
    extensions.csrf.init_app(app)
    extensions.limiter.init_app(app)
    extensions.login_manager.init_app(app)
    extensions.migrate.init_app(
        app,
        db.db,
        directory=str(ROOT / "migrations"),
        render_as_batch=True,
        compare_type=True,
        render_item=_render_item,
    )
    processes.setup(app)
    with app.app_context():
        db.listen(db.db.engine)


def _wire() -> None:
    """What a lower slice lets a higher one do."""
    from wisp.outbox import texts, trial
    from wisp.settings import hooks
    from wisp.staff import mail as staff_mail

    def mail_trial(address: str) -> hooks.TrialResult:
        result = trial.send_test(address)
        return hooks.TrialResult(result.ok, str(texts.ERRORS.get(result.code, result.code)), result.detail)

    hooks.mail_trial = mail_trial
    hooks.mail_present = trial.present
    hooks.mail_changed = partial(trial.send_by, kind=staff_mail.SERVER_CHANGED)


def _render_item(kind: str, item: object, _context: object) -> str | bool:
    """How a migration spells our own column types: by what the database stores."""
    if kind == "type" and isinstance(item, db.UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def _slices(app: Flask) -> None:
    """Load each slice: models and jobs, then what its ``setup(app)`` adds (blueprint, commands, events, registries)."""
    for name in SLICES:
        for part in ("models", "jobs"):
            if (ROOT / "wisp" / name / f"{part}.py").exists():
                importlib.import_module(f"wisp.{name}.{part}")
    sa.orm.configure_mappers()
    for name in SLICES:
        module = importlib.import_module(f"wisp.{name}")
        setup = getattr(module, "setup", None)
        if setup is not None:
            setup(app)
