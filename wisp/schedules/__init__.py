"""Billing schedules and their three periodic tasks; the calendar arithmetic."""

from flask import Flask


def setup(_app: Flask) -> None:
    """Wire the receivers of this slice."""
    from wisp.core import events
    from wisp.schedules import service

    events.settings_changed.connect(service.on_settings_changed)
