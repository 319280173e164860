"""Staff users: who may use the program, and for what."""

from flask import Flask
from flask_babel import lazy_gettext as _l

from wisp.core import crypto, errors
from wisp.core.permissions import Permission
from wisp.web import navigation, registry


def setup(app: Flask) -> None:
    """Log-in, the staff page, commands and sentences."""
    from wisp.staff import account, audit_views, auth, cli, mail, texts, views
    from wisp.staff.models import StaffUser

    crypto.kept["second factors"] = StaffUser.totp_secret
    auth.bind()
    registry.permission_labels.update(texts.PERMISSIONS)
    mail.register()
    app.register_blueprint(account.bp)
    app.register_blueprint(audit_views.bp)
    app.register_blueprint(auth.bp)
    app.register_blueprint(views.bp)
    app.cli.add_command(cli.audit_group)
    app.cli.add_command(cli.group)
    errors.messages.update(texts.MESSAGES)
    navigation.add("system", _l("Staff"), "staff.index", Permission.STAFF_MANAGE, "user-shield", 80)
    navigation.add("system", _l("Audit"), "audit.index", Permission.AUDIT_VIEW, "eye", 85)
