"""The pages that clients see on their screens: payment notice and cut, by their address or a signed link."""

from flask import Flask
from flask_babel import lazy_gettext as _l

from wisp.core.permissions import Permission
from wisp.web import access, registry


def setup(app: Flask) -> None:
    """The pages, the gate for what routers send here, the link in invoice e-mails, the panel, the client's
    tab, and who saw a notice in the ledger of runs."""
    from wisp.invoices import mail
    from wisp.portal import counting, history, office_views, service, views
    from wisp.tasks import hooks

    app.extensions["wisp_looks"] = counting.Counter(app.app_context)
    app.register_blueprint(views.bp)
    history.register()
    app.register_blueprint(office_views.bp)
    if views.gate not in access.gates:
        access.gates.append(views.gate)
    mail.client_link = views.page_url
    hooks.screens = hooks.Screens(service.count_looks, service.looks)
    registry.settings_panels.add(
        registry.Tab("notices", _l("Client pages"), "notices.texts", Permission.SETTINGS_MANAGE, 15)
    )
    registry.client_tabs.add(
        registry.Tab("portal", _l("Notice page"), "notices.of_client", Permission.CLIENTS_VIEW, 55)
    )
