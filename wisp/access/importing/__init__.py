"""Import from the router: what stands there becomes proposed clients, reviewed and corrected before anything is
written."""

from flask import Flask
from flask_babel import lazy_gettext as _l


def setup(app: Flask) -> None:
    """Wire the receiver, the texts, the command, the jobs and the pages."""
    from wisp.access.importing import cli, confirming, jobs, texts, views  # noqa: F401  (jobs register themselves)
    from wisp.core import events
    from wisp.core.permissions import Permission
    from wisp.web.registry import Tab, router_tools

    events.router_synced.connect(confirming.synced)
    texts.register()
    cli.register()
    app.register_blueprint(views.bp)
    router_tools.add(
        Tab("import", _l("Import clients from the router"), "imports.start", Permission.CLIENTS_IMPORT, 60)
    )
