"""The visitor's address behind a reverse proxy: believed only where the proxy is one that the settings name."""

from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network
from typing import Any

Start = Callable[..., Any]
Application = Callable[[dict[str, Any], Start], Iterable[bytes]]


class TrustedProxies:
    """Take address and scheme from X-Forwarded-* where the connection comes from a trusted proxy."""

    def __init__(self, application: Application, trusted: Iterable[str]) -> None:
        self.application = application
        self.trusted = [ip_network(entry, strict=False) for entry in trusted]

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """Rewrite REMOTE_ADDR and wsgi.url_scheme, then hand over."""
        if self._is_trusted(environ.get("REMOTE_ADDR", "")):
            visitor = self._visitor(environ.get("HTTP_X_FORWARDED_FOR", ""))
            if visitor:
                environ["REMOTE_ADDR"] = visitor
            scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").strip().lower()
            if scheme in ("http", "https"):
                environ["wsgi.url_scheme"] = scheme
        return self.application(environ, start)

    def _visitor(self, forwarded: str) -> str:
        """The rightmost address that is not a trusted proxy: what stands left of it anybody may have written."""
        for part in reversed(forwarded.split(",")[-20:]):
            address = part.strip()
            if not _is_address(address):
                return ""
            if not self._is_trusted(address):
                return address
        return ""

    def _is_trusted(self, address: str) -> bool:
        if not _is_address(address):
            return False
        return any(ip_address(address) in network for network in self.trusted)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
