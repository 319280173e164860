"""Clients with their connection and billing, plans, and the CSV."""

from flask import Flask
from flask_babel import lazy_gettext as _l

from wisp.core import crypto
from wisp.core.permissions import Permission
from wisp.web import navigation
from wisp.web.registry import Tab, client_tabs


def setup(app: Flask) -> None:
    """Pages, commands, sentences, tabs."""
    from wisp.clients import cli, history, plan_views, texts, views
    from wisp.clients import import_views as _same_blueprint  # noqa: F401
    from wisp.clients.models import Client

    crypto.kept["clients"] = Client.password
    texts.register()
    history.register()
    app.register_blueprint(views.bp)
    app.register_blueprint(plan_views.bp)
    app.cli.add_command(cli.group)
    app.cli.add_command(cli.plans_group)
    view = Permission.CLIENTS_VIEW
    navigation.add("clients", _l("Clients"), "clients.index", view, "users", 10)
    navigation.add("clients", _l("Plans"), "plans.index", view, "package", 20)
    client_tabs.add(Tab("file", _l("Overview"), "clients.show", view, 10))
    client_tabs.add(Tab("data", _l("Data"), "clients.data", view, 20))
    client_tabs.add(Tab("connection", _l("Connection"), "clients.connection", view, 30))
    client_tabs.add(Tab("billing", _l("Billing"), "clients.billing", view, 40))
