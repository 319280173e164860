"""API-SSL: verification by fingerprint or authority, and routers that have no certificate."""

import hashlib
import socket
import ssl
from collections.abc import Callable

from wisp.gateway.errors import ErrorCode, GatewayError
from wisp.gateway.target import Target


def normalised(fingerprint: str) -> str:
    """A SHA-256 fingerprint as 64 lower-case hex digits; RouterOS and browsers print it in several ways."""
    return fingerprint.replace(":", "").replace(" ", "").lower()


def context_for(target: Target) -> ssl.SSLContext:
    """The TLS context that verifies this router as its target asks for."""
    if target.anonymous:
        return _anonymous()
    if target.fingerprint is None:
        return ssl.create_default_context(cadata=target.ca)
    return _unverified()  # the certificate itself is compared after the handshake


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _anonymous() -> ssl.SSLContext:
    """Anonymous Diffie-Hellman, the only thing that a RouterOS without certificate offers; it ends at TLS 1.2."""
    context = _unverified()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ADH:@SECLEVEL=0")
    return context


def secure(sock: socket.socket, target: Target) -> ssl.SSLSocket:
    """Make the handshake and verify the router; on failure the socket is closed. Raises OSError or GatewayError."""
    wrapped = _wrap(sock, target, context_for)
    if target.fingerprint is not None and not target.anonymous:
        found = fingerprint_of(wrapped)
        if found != normalised(target.fingerprint):
            wrapped.close()
            raise GatewayError(ErrorCode.tls, f"the certificate's fingerprint is {found}")
    return wrapped


def handshake(sock: socket.socket, target: Target) -> ssl.SSLSocket:
    """The handshake without verifying anything: for looking at the certificate, never for logging in."""
    return _wrap(sock, target, lambda _: _unverified())


def _wrap(sock: socket.socket, target: Target, context: Callable[[Target], ssl.SSLContext]) -> ssl.SSLSocket:
    try:
        return context(target).wrap_socket(sock, server_hostname=target.host)
    except BaseException:
        sock.close()
        raise


def fingerprint_of(sock: ssl.SSLSocket) -> str:
    """SHA-256 of the certificate that the other side showed, as 64 hex digits."""
    return hashlib.sha256(sock.getpeercert(binary_form=True) or b"").hexdigest()
