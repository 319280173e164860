"""Each client's own object on its router: queue, PPPoE user, hotspot user or lease; written when it is saved."""

from flask import Flask
from flask_babel import lazy_gettext as _l


def setup(app: Flask) -> None:
    """Wire the receivers, the texts, the command, the jobs and the pages."""
    from wisp.access.provision import cli, jobs, service, texts, views  # noqa: F401  (jobs register themselves)
    from wisp.core import events
    from wisp.core.permissions import Permission
    from wisp.web.registry import Tab, client_panels, router_tools

    events.client_saved.connect(service.client_saved)
    events.client_moved.connect(service.client_moved)
    events.client_cancelled.connect(service.clients_cancelled)
    events.plan_changed.connect(service.plan_changed)
    events.router_changed.connect(service.router_changed)
    events.router_returned.connect(service.router_returned)
    events.router_synced.connect(service.router_synced)
    texts.register()
    cli.register()
    app.register_blueprint(views.bp)
    router_tools.add(
        Tab("provision", _l("What each client has on the router"), "provision.index", Permission.ROUTERS_SYNC, 15)
    )
    client_panels["provision"] = views.client_panel
