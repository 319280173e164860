"""Wanted and applied state of each client on its router, the synchronisation that makes them equal, outages."""

from flask import Flask
from flask_babel import lazy_gettext as _l


def setup(app: Flask) -> None:
    """Wire the receivers of events, the texts and the commands."""
    from wisp.access import cli, history, holds, importing, provision, service, texts, views
    from wisp.access.rules import jobs, verdicts  # noqa: F401  (registers its jobs)
    from wisp.core import events
    from wisp.core.permissions import Permission
    from wisp.web.registry import Tab, router_marks, router_tools

    events.client_saved.connect(service.client_saved)
    events.client_moved.connect(service.client_moved)
    events.client_cancelled.connect(service.clients_cancelled)
    events.clients_imported.connect(service.clients_imported)
    events.settings_changed.connect(service.settings_changed)
    events.router_returned.connect(service.router_returned)
    events.settings_changed.connect(verdicts.changed)
    events.router_changed.connect(verdicts.changed)
    texts.register()
    history.register()
    app.jinja_env.filters["router_words"] = texts.explain
    cli.register()
    app.register_blueprint(views.bp)
    router_marks["rules"] = views.rules_marks
    sync, edit = Permission.ROUTERS_SYNC, Permission.ROUTERS_EDIT
    router_tools.add(
        Tab(
            "sync",
            _l("Make the router's lists say what is wanted."),
            "access.sync_now",
            sync,
            10,
            _l("Synchronise now"),
        )
    )
    router_tools.add(Tab("difference", _l("Difference between router and program"), "access.difference", sync, 20))
    router_tools.add(Tab("rules", _l("Firewall rules"), "access.rules", edit, 30))
    router_tools.add(Tab("log", _l("Log of the last synchronisations"), "access.log", sync, 40))
    holds.setup(app)
    importing.setup(app)
    provision.setup(app)
    router_tools.add(Tab("sessions", _l("Active sessions of a client"), "access.client_sessions", sync, 50))
