"""Every e-mail as a row before it is sent; delivery with retries; the page and the commands that show it."""

from datetime import datetime
from typing import Any

from flask import Flask
from flask_babel import lazy_gettext as _l

from wisp.core import events
from wisp.core.permissions import Permission


def setup(app: Flask) -> None:
    """Register kinds, sentences, pages, commands, the settings page's test e-mail, and what follows new settings."""
    from wisp.outbox import cli, emails, texts, transport, views
    from wisp.settings import hooks
    from wisp.web import navigation

    transport.init_app(app)
    emails.register()
    texts.register()
    hooks.mail_trial = views.mail_trial
    events.settings_changed.connect(_settings_changed)
    events.background_silent.connect(_background_silent)
    app.register_blueprint(views.bp)
    app.cli.add_command(cli.group)
    app.cli.add_command(cli.mail)
    navigation.add("system", _l("E-mails"), "outbox.index", Permission.OUTBOX_VIEW, "mail", 40)


def _background_silent(part: str, since: datetime, **_: Any) -> None:
    """The alert addresses are told that background work stands still."""
    from wisp.outbox import service

    service.alert("alert_background", {"part": part, "since": since.isoformat()})


def _settings_changed(changed: set[str], **_: Any) -> None:
    """Another mail server, or another password, may work at once: nobody waits for the old pause to end."""
    from wisp.outbox import server

    if any(name.startswith("mail_") for name in changed):
        server.forget_pause()
