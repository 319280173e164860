"""The e-mails that hold a link to set a password: invitation and reset. They go to the user's own address and nowhere
else, and no page shows their text."""

import sqlalchemy as sa
from flask import current_app
from flask_babel import gettext as _

from wisp.core import audit, clock, crypto, events
from wisp.core.db import session
from wisp.core.permissions import Role
from wisp.outbox import service as outbox
from wisp.outbox.kinds import CannotRender, Rendered, register_kind
from wisp.outbox.models import Message
from wisp.outbox.rendering import Formats, compose
from wisp.settings.service import MAIL, company
from wisp.staff import changes, links
from wisp.staff.models import StaffLink, StaffUser

PATH = "/entrar/clave/"
SERVER_CHANGED = "mail_server_changed"
ADDRESS_CHANGED = changes.ADDRESS_CHANGED


def address(link: StaffLink) -> str:
    """The link as it stands in the e-mail."""
    return f"{current_app.config['WISP'].url.rstrip('/')}{PATH}{crypto.sign(links.PURPOSE, link.nonce or '')}/"


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


def tell_of_server(changed: set[str]) -> None:
    """Receiver of settings_changed: every administrator is told that e-mails go another way from now on."""
    if not changed & MAIL:
        return
    query = sa.select(StaffUser).where(StaffUser.role == Role.ADMIN, StaffUser.active).order_by(StaffUser.id)
    now = company()
    data = {
        "by": audit.actor().name.partition(":")[2] or audit.actor().name, "at": clock.now().isoformat(),
        "server": f"{now.mail_server}:{now.mail_port}" if now.mail_server else "", "username": now.mail_username,
        "security": now.mail_security, "sender": now.mail_sender,
    }  # fmt: skip
    for user in session().scalars(query).all():
        outbox.queue_message(SERVER_CHANGED, user.email, language=user.language or now.language, data=data)


def render_server_changed(message: Message) -> Rendered:
    """Who changed the mail server, when, and to what."""
    data, formats = message.data or {}, Formats(message)
    facts = [
        (_("When"), formats.moment(data["at"])), (_("By whom"), data["by"]), (_("Server"), data["server"] or "–"),
        (_("Security"), data["security"]), (_("User"), data["username"] or "–"), (_("Sender"), data["sender"] or "–"),
    ]  # fmt: skip
    return compose(
        "alert", message, _("The mail server was changed"),
        lead=_("All e-mails go by another way from now on, those that set passwords too."), sections=[(facts, [])],
        next=_("If this was not agreed, look at the settings and at the audit log at once."),
        link=f"{current_app.config['WISP'].url.rstrip('/')}/ajustes/correo/",
    )  # fmt: skip


def render_address_changed(message: Message) -> Rendered:
    """To the address before: the account has another one now, and who gave it."""
    data, formats = message.data or {}, Formats(message)
    facts = [
        (_("When"), formats.moment(data["at"])), (_("By whom"), data["by"]), (_("New address"), data["email"])
    ]  # fmt: skip
    return compose(
        "alert", message, _("Your access has another e-mail address"),
        lead=_("Your access to the administration is from now on under another e-mail address."),
        sections=[(facts, [])], next=_("If this was not agreed, tell an administrator at once."),
        link=f"{current_app.config['WISP'].url.rstrip('/')}/",
    )  # fmt: skip


def register() -> None:
    """Make the kinds known to the outbox, and hear of changes of the mail server."""
    for kind in (links.INVITATION, links.RESET):
        register_kind(kind, render, private=True)
    register_kind(SERVER_CHANGED, render_server_changed)
    register_kind(ADDRESS_CHANGED, render_address_changed)
    events.settings_changed.connect(tell_of_server)
