"""The e-mails that hold a link to set a password: invitation and reset. They go to the user's own address and nowhere
else, and no page shows their text."""

from flask import current_app
from flask_babel import gettext as _

from wisp.core import clock, crypto
from wisp.core.db import session
from wisp.outbox.kinds import CannotRender, Rendered, register_kind
from wisp.outbox.models import Message
from wisp.outbox.rendering import compose
from wisp.settings.service import company
from wisp.staff import links
from wisp.staff.models import StaffLink, StaffUser

PATH = "/entrar/clave/"


def address(link: StaffLink) -> str:
    """The link as it stands in the e-mail."""
    return f"{current_app.config['WISP'].url.rstrip('/')}{PATH}{crypto.sign(links.PURPOSE, link.id)}/"


def render(message: Message) -> Rendered:
    """The e-mail of the link that ``data`` names. CannotRender("link_over") where it opens nothing any more, or where
    somebody would send it to another address than the user's."""
    link = session().get(StaffLink, int((message.data or {}).get("link", 0)))
    user = session().get(StaffUser, link.staff_id) if link else None
    if link is None or user is None or not user.active or user.email != message.recipient:
        raise CannotRender("link_over")
    if link.used_at is not None or link.expires_at <= clock.now():
        raise CannotRender("link_over")
    firm = company().name or "Wisp"
    if link.kind == links.INVITATION:
        subject = _("Your access to %(company)s", company=firm)
        lead = _("You have been given access to the administration of %(company)s.", company=firm)
        action, until = _("Choose your password"), _("The link works once, within seven days.")
    else:
        subject = _("New password for %(company)s", company=firm)
        lead = _("Somebody asked for a new password for this address. If it was not you, ignore this e-mail.")
        action, until = _("Choose a new password"), _("The link works once, within one hour.")
    return compose(
        "password_link", message, subject,
        name=user.name, lead=lead, action=action, until=until, link=address(link),
    )  # fmt: skip


def register() -> None:
    """Make both kinds known to the outbox."""
    for kind in (links.INVITATION, links.RESET):
        register_kind(kind, render, private=True)
