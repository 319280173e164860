"""How often somebody may guess: at a password, at a code, at an account's own password.

Each attempt is counted before it is judged, so that many at once are no way round, and given back where it was not
wrong, so that nobody is locked out by logging in. A device that has logged in to an account before has a budget of its
own there: strangers who guess at the account lock themselves out, not its owner.
"""

import hashlib
import secrets
from ipaddress import ip_address
from typing import Any

from flask import Response, current_app, request
from flask import session as cookie_session
from flask_limiter.util import get_remote_address
from flask_login import current_user

from wisp.core import crypto
from wisp.core.extensions import limiter
from wisp.staff import service

WRONG = 422
COUNTED = {"auth.login", "auth.code", "account.", "staff.data"}
"""Views, or the beginning of their names, where only wrong attempts count."""
PENDING = "second"
COOKIE, PURPOSE = "wisp_device", "known-device"
COOKIE_SECONDS = 365 * 86_400


def network() -> str:
    """Where the request comes from. Of IPv6 the first 64 bits: whoever has one address there has all of them."""
    text = get_remote_address() or ""
    try:
        address = ip_address(text)
    except ValueError:
        return text
    if address.version == 4:
        return text
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else f"{address.exploded[:19]}::/64"


def account() -> str:
    """The account that was typed in, or the known device that tries it. What was typed may hold anything, so only its
    hash is kept."""
    name = _hash(request.form.get("email", ""))
    device, known, _person = _device()
    return f"device-{device}" if known == name else name


def account_and_network() -> str:
    """The same, from one network."""
    return f"{account()}-{network()}"


def visitor() -> str:
    """The network, or a known device in it that tries its own account."""
    device, known, _person = _device()
    return f"device-{device}" if known and known == _hash(request.form.get("email", "")) else network()


def second_step() -> str:
    """Who has given the right password and owes the code, or the known device that does."""
    found = cookie_session.get(PENDING)
    if not isinstance(found, list):
        return network()
    device, _known, person = _device()
    return f"device-{device}" if person == str(found[0]) else f"second-{found[0]}"


def own() -> str:
    """Who is logged in."""
    return f"own-{current_user.id}" if current_user.is_authenticated else network()


def counted(value: str, key: Any) -> Any:
    """A limit of attempts, for a view in COUNTED."""
    return limiter.limit(value, key_func=key, methods=["POST"])


own_password = limiter.shared_limit("20 per 10 minutes", scope="own-password", key_func=own, methods=["POST"])
"""Whoever finds a browser that is logged in must not find out the password by trying."""


def give_back(response: Response) -> Response:
    """After each request: an attempt that was not wrong does not count, nor one that another limit stopped."""
    endpoint = request.endpoint or ""
    if request.method != "POST" or response.status_code == WRONG or not endpoint.startswith(tuple(COUNTED)):
        return response
    for found in limiter.current_limits:
        if not found.breached:
            found.limiter.storage.incr(found.key, found.limit.get_expiry(), amount=-1)
    return response


def remember(response: Response, user_id: int, email: str) -> Response:
    """Somebody has logged in here: this device is known to the account from now on."""
    value = crypto.sign(PURPOSE, f"{secrets.token_urlsafe(16)} {_hash(email)} {user_id}")
    secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
    response.set_cookie(COOKIE, value, max_age=COOKIE_SECONDS, httponly=True, samesite="Lax", secure=secure)
    return response


def _hash(email: str) -> str:
    return hashlib.sha256(service.normal(email).encode()).hexdigest()[:32]


def _device() -> tuple[str, str, str]:
    """Name of the device, hash of the address and number of the user that logged in there last; a stranger: empty."""
    found = (crypto.signed(PURPOSE, request.cookies.get(COOKIE, "")) or "").split(" ")
    return (found[0], found[1], found[2]) if len(found) == 3 else ("", "", "")
