"""Why a router could not be used, in the same words on pages and in e-mails."""

from typing import Any

from flask_babel import lazy_gettext as _l

from wisp.gateway import ErrorCode

UNREADABLE = "unreadable"
"""Code of a router whose password was saved with another key."""
CAUSES: dict[str, Any] = {
    ErrorCode.unreachable: _l(
        "There is no way to the router: it is off, the address is wrong, or the line or the VPN to it is down."
    ),
    ErrorCode.refused: _l(
        "The machine answers but refuses the port: the API service is off (IP → Services) or listens on another port."
    ),
    ErrorCode.timeout: _l("The router stopped answering in time: it is overloaded, or the line to it is very slow."),
    ErrorCode.silent: _l(
        "The port opens but nothing answers: usually our address is missing in “Available From” of the API service, "
        "or a firewall swallows the traffic."
    ),
    ErrorCode.login: _l(
        "The router refused user or password, or the user's group does not have the “api” policy."
    ),
    ErrorCode.permission: _l("The user's group on the router lacks a policy: it needs read, write, api and test."),
    ErrorCode.closed: _l("The connection broke: the router restarted, or the line to it failed for a moment."),
    ErrorCode.fatal: _l("The router ended the session by itself, usually because it is shutting down or overloaded."),
    ErrorCode.protocol: _l(
        "What answers there does not speak the RouterOS API: wrong port, or API-SSL on one side only."
    ),
    ErrorCode.tls: _l(
        "The secured connection failed: API-SSL has no certificate, or the certificate is not the one expected."
    ),
    ErrorCode.trap: _l("The router refused the command; its own words are shown below."),
    UNREADABLE: _l("The stored password cannot be read with the present WISP_KEY. Enter the router's password again."),
}  # fmt: skip


def cause(code: str) -> str:
    """The sentence that names the likely cause of a failure."""
    return str(CAUSES.get(code, code))
