"""Bulk actions: one change for many zones and clients, shown first, kept with the earlier values, undone."""

from flask import Flask
from flask_babel import lazy_gettext as _l

from wisp.core.permissions import Permission
from wisp.web import navigation


def setup(app: Flask) -> None:
    """Pages, commands, sentences; the actions register themselves."""
    from wisp.bulk import actions, cli, texts, views

    actions.register()
    texts.register()
    app.register_blueprint(views.bp)
    app.cli.add_command(cli.group)
    navigation.add("system", _l("Bulk actions"), "bulk.index", Permission.BULK_USE, "list-details", 20)
