"""Invoices, their lines and series, and the account: what a client owes, by one rule."""

from collections.abc import Sequence
from typing import Any

from flask import Flask
from flask_babel import lazy_gettext as _l

from wisp.core import errors, events
from wisp.core.permissions import Permission
from wisp.web import navigation, registry


def setup(app: Flask) -> None:
    """Pages, commands, the e-mail of an invoice, sentences, and the balances that an import brings along."""
    from wisp.clients import listing
    from wisp.invoices import cli, history, mail, service, texts, views

    app.register_blueprint(views.bp)
    app.cli.add_command(cli.group)
    mail.register()
    history.register()
    errors.messages.update(texts.MESSAGES)
    events.clients_imported.connect(open_accounts)
    listing.accounts = listing.Accounts(service.owing, service.debts_of)
    view = Permission.INVOICES_VIEW
    navigation.add("billing", _l("Invoices"), "invoices.index", view, "file-invoice", 20)
    registry.client_tabs.add(registry.Tab("invoices", _l("Invoices"), "invoices.of_client", view, 45))


def open_accounts(rows: Sequence[Any], **_: Any) -> None:
    """Receiver: the balances of imported clients become opening invoices and credits, dated today."""
    from wisp.invoices import opening
    from wisp.settings import service as settings

    amounts = {row.client_id: row.balance for row in rows if row.balance}
    if amounts:
        opening.issue(amounts, settings.today())
