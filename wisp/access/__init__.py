"""Wanted and applied state of each client on its router, the synchronisation that makes them equal, outages."""

from flask import Flask


def setup(app: Flask) -> None:
    """Wire the receivers of events, the texts and the commands."""
    from wisp.access import cli, service, texts
    from wisp.core import events

    events.client_saved.connect(service.client_saved)
    events.client_moved.connect(service.client_moved)
    events.client_cancelled.connect(service.clients_cancelled)
    events.clients_imported.connect(service.clients_imported)
    events.settings_changed.connect(service.settings_changed)
    events.router_returned.connect(service.router_returned)
    texts.register()
    cli.register()
