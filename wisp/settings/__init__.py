"""The company and its settings."""

from flask import Flask
from flask_babel import lazy_gettext as _l

from wisp.core import clock, crypto, errors
from wisp.core.permissions import Permission
from wisp.web import formats, navigation, registry
from wisp.web.access import ADMINISTRATORS


def setup(app: Flask) -> None:
    """The settings page with its panels, commands, sentences, and what the frame shows of the company."""
    from wisp.settings import cli, service, texts, views
    from wisp.settings.models import Company

    def facts() -> formats.Facts:
        firm = service.company()
        return formats.Facts(firm.name, clock.zone(firm.timezone), firm.currency, firm.language)

    crypto.kept["mail password"] = Company.mail_password
    formats.provide(facts)
    app.register_blueprint(views.bp)
    app.cli.add_command(cli.group)
    app.cli.add_command(cli.brakes)
    errors.messages.update(texts.MESSAGES)
    navigation.add("system", _l("Settings"), "settings.index", Permission.SETTINGS_MANAGE, "settings", 90)
    panels = (
        ("company", _l("Company")),
        ("billing", _l("Billing")),
        ("mail", _l("E-mail")),
        ("alerts", _l("Alerts")),
        ("brakes", _l("Brakes on cuts")),
        ("lists", _l("Lists on the routers")),
    )
    for order, (key, label) in enumerate(panels):
        needed = ADMINISTRATORS if key == "mail" else Permission.SETTINGS_MANAGE
        registry.settings_panels.add(registry.Tab(key, label, f"settings.{key}", needed, order * 10))
