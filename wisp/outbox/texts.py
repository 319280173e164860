"""What people read of the outbox: states, kinds, errors and refusals."""

from typing import Any

from flask_babel import lazy_gettext as _l

from wisp.core import errors

STATES: dict[str, Any] = {
    "pending": _l("Waiting"),
    "sending": _l("Being sent"),
    "sent": _l("Sent"),
    "failed": _l("Failed"),
    "held": _l("Held"),
}
KINDS: dict[str, Any] = {
    "invoice": _l("Invoice"),
    "receipt": _l("Payment receipt"),
    "test": _l("Test e-mail"),
    "password_reset": _l("Password reset"),
    "invitation": _l("Invitation"),
    "staff_address_changed": _l("Address of a staff user changed"),
    "mail_server_changed": _l("Mail server changed"),
    "alert_router_waiting": _l("Alert: work waits for a router"),
    "alert_router_off": _l("Alert: router off"),
    "alert_router_back": _l("Alert: router back"),
    "alert_run_failed": _l("Alert: task with an error"),
    "alert_mail_refused": _l("Alert: the mail server refuses"),
    "alert_background": _l("Alert: background work stands still"),
}
ERRORS: dict[str, Any] = {
    "unknown": _l("The connection broke before the mail server confirmed it, so it may have arrived. Tried once more."),
    "unknown_twice": _l("Twice the connection broke before the mail server confirmed it. It may have arrived."),
    "too_old": _l("It waited longer than the settings allow, so a person decides."),
    "by_person": _l("Held by a person."),
    "bad_address": _l("This is not an e-mail address."),
    "unknown_kind": _l("The program does not know this kind of e-mail."),
    "cannot_render": _l("The text could not be made; this is a fault of the program. It will be tried again."),
    "void": _l("The invoice was voided before the e-mail went out."),
    "gone": _l("What this e-mail is about does not exist any more."),
    "private": _l("It holds a link for its recipient only, so the text is not shown."),
    "link_over": _l("The link that it holds was used, replaced or is too old, or the address is another one now."),
    "unreachable": _l("The mail server cannot be reached. Check the server's name and port."),
    "timeout": _l("The mail server did not answer in time."),
    "tls": _l("No secure connection: the mail server does not offer it, or its certificate is not valid for its name."),
    "login": _l("The mail server refused the user name or the password."),
    "sender": _l("The mail server refused the sender's address."),
    "busy": _l("The mail server accepts nothing at present and asks to try later."),
    "dropped": _l("The mail server closed the connection."),
    "refusing": _l("The mail server refuses every message."),
    "limit": _l("The mail server refuses because of a limit, or because it takes the e-mails for unwanted. They wait."),
    "partly": _l("Not all of its addresses took it."),
    "secret": _l("The stored password of the mail server cannot be read with the present key. Enter it again."),
    "in_clear": _l(
        "Without security the password could be read on the way, so it is not sent. Choose STARTTLS or TLS."
    ),
    "no_server": _l("No mail server is set, so e-mails wait."),
    "refused": _l("The mail server refused the address."),
    "later": _l("The mail server asks to try this address later."),
}
REFUSALS: dict[str, Any] = {
    "message_unknown": _l("There is no e-mail %(id)s."),
    "message_waiting": _l("E-mail %(id)s is still waiting and goes by itself."),
    "message_resent": _l("E-mail %(id)s was sent again before. Send the newer one again."),
    "message_not_waiting": _l("E-mail %(id)s is not waiting, so it cannot be held."),
    "message_not_held": _l("E-mail %(id)s is not held."),
    "bad_address": _l("“%(address)s” is not an e-mail address."),
}


def register() -> None:
    """Give the refusals their sentences."""
    errors.messages.update(REFUSALS)


def error_text(error: str) -> str:
    """The sentence of a message's or the mail server's error: ours for a code, with what follows it after a colon; the
    mail server's own words else."""
    code, colon, rest = error.partition(": ")
    if error in ERRORS:
        return str(ERRORS[error])
    if colon and code in ERRORS:
        return f"{ERRORS[code]} ({rest})"
    return error


def kind_text(kind: str) -> str:
    """The name of a kind."""
    return str(KINDS.get(kind, kind))
