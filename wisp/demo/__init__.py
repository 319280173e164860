"""What ``make demo`` runs: the demo company, a simulated RouterOS router, a local mail box, and pages to see them."""

import os

from flask import Flask


def setup(app: Flask) -> None:
    """Add the demo's pages, in the demo only (WISP_DEMO names its folder)."""
    if not os.environ.get("WISP_DEMO"):
        return
    from flask_babel import lazy_gettext as _l

    from wisp.core.permissions import Permission
    from wisp.demo.views import bp
    from wisp.web import navigation

    app.register_blueprint(bp)
    navigation.add("system", _l("Demo: mail box"), "demo.mail", Permission.OUTBOX_VIEW, "inbox", 90)
    navigation.add("system", _l("Demo: router"), "demo.router", None, "router", 91)
