"""Routers, their billing zones and their health."""

from flask import Flask
from flask_babel import lazy_gettext as _l

from wisp.core import crypto
from wisp.core.permissions import Permission
from wisp.gateway import transport
from wisp.web import navigation
from wisp.web.registry import Tab, router_tabs


def setup(app: Flask) -> None:
    """Pages, commands, sentences, tabs."""
    from wisp.routers import cli, texts, views
    from wisp.routers.models import Router

    crypto.kept["routers"] = Router.password
    texts.register()
    transport.own_machine_allowed = not app.config["WISP"].production
    app.register_blueprint(views.bp)
    app.cli.add_command(cli.group)
    app.cli.add_command(cli.zones_group)
    navigation.add("network", _l("Routers"), "routers.index", Permission.ROUTERS_VIEW, "router", 10)
    view = Permission.ROUTERS_VIEW
    router_tabs.add(Tab("data", _l("Data"), "routers.edit", view, 10))
    router_tabs.add(Tab("zones", _l("Billing - Zone"), "routers.zones", view, 20))
    router_tabs.add(Tab("tools", _l("Tools"), "routers.tools", view, 30))
