"""What can go wrong with a router, as a small closed set of codes.

The sentences that people read are made from the codes elsewhere; `detail` holds the router's own
words (or the operating system's), for the log and the curious, and never a secret.
"""

import ssl
from enum import StrEnum

from librouteros.exceptions import ConnectionClosed, LibRouterosError


class ErrorCode(StrEnum):
    """Why talking to a router failed."""

    unreachable = "unreachable"
    """No way to the address: unknown name, no route, nobody answered the connection attempt."""
    refused = "refused"
    """The machine is there and nothing listens on the port: API service off, or another port."""
    timeout = "timeout"
    """It talked before, and then an answer, or the whole job, took too long."""
    silent = "silent"
    """The port opens and nothing is ever answered: our address is not among those allowed."""
    login = "login"
    """User or password refused, or the user's group may not use the API."""
    permission = "permission"
    """Logged in, and the user's group lacks the policy for this command."""
    closed = "closed"
    """The connection broke."""
    fatal = "fatal"
    """The router ended the session itself and said why."""
    protocol = "protocol"
    """What came back is not the RouterOS API."""
    tls = "tls"
    """The secured connection could not be made, or the certificate is not the expected one."""
    trap = "trap"
    """The router answered the command with an error; the connection is still good."""


class GatewayError(Exception):
    """A router could not be used. After every code except `trap` and `permission` the connection is closed."""

    def __init__(self, code: ErrorCode, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else str(self.code)


class ReplyTimeout(TimeoutError):
    """No complete answer within the time allowed for one."""


class DeadlinePassed(TimeoutError):
    """The time allowed for the whole job is over."""


# What reading or writing a connection may raise, TimeoutError and ssl.SSLError among them.
BROKEN = (LibRouterosError, OSError, ValueError)


def translate(error: Exception, *, heard: bool) -> GatewayError:
    """The gateway's own error for what a socket or the library raised; `heard`: the router has spoken before."""
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, DeadlinePassed | ReplyTimeout):
        return GatewayError(ErrorCode.timeout if heard else ErrorCode.silent, str(error))
    if isinstance(error, ssl.SSLError):
        return GatewayError(ErrorCode.tls, str(error.reason or error))
    if isinstance(error, TimeoutError):
        return GatewayError(ErrorCode.timeout if heard else ErrorCode.silent, "no answer in time")
    if isinstance(error, ConnectionClosed | OSError):
        return GatewayError(ErrorCode.closed, str(error))
    return GatewayError(ErrorCode.protocol, str(error))


_PERMISSION = "not enough permissions"


def trap_code(text: str) -> ErrorCode:
    """`permission` or `trap`. Traps are told apart by their text: most carry no category."""
    return ErrorCode.permission if text.startswith(_PERMISSION) else ErrorCode.trap
