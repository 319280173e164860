"""Payments: registering them, giving the service back, promises to pay."""

from flask import Flask
from flask_babel import lazy_gettext as _l

from wisp.core import errors, events
from wisp.core.permissions import Permission
from wisp.web import navigation, registry


def setup(app: Flask) -> None:
    """Pages, commands, sentences, and the receiver that reactivates where a debt has fallen."""
    from wisp.payments import cli, history, service, texts, views

    app.register_blueprint(views.bp)
    history.register()
    app.cli.add_command(cli.group)
    errors.messages.update(texts.MESSAGES)
    events.account_changed.connect(service.account_changed)
    view = Permission.INVOICES_VIEW
    navigation.add("billing", _l("Payments"), "payments.index", view, "cash", 30)
    registry.client_tabs.add(registry.Tab("payments", _l("Payments"), "payments.of_client", view, 46))
