"""Every e-mail as a row before it is sent; delivery with retries; the page and the commands that show it."""

from typing import Any

from flask import Flask


def setup(app: Flask) -> None:
    """Register kinds, texts, pages, commands and the receiver of changed settings."""
    from wisp.core import events
    from wisp.outbox import emails, texts, transport

    transport.init_app(app)
    emails.register()
    texts.register()
    events.settings_changed.connect(_settings_changed)


def _settings_changed(changed: set[str], **_: Any) -> None:
    from wisp.outbox import server

    if any(name.startswith("mail_") for name in changed):
        server.forget_pause()
