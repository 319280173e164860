"""Staff users: who they are, what each is allowed, log-in and passwords."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select

from wisp.core import audit, clock
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.core.locales import LANGUAGES
from wisp.core.permissions import PRESETS, Permission, Role
from wisp.core.scope import EVERYTHING, Scope
from wisp.staff import links, passwords, sessions
from wisp.staff.models import StaffGrant, StaffUser, StaffZone


@dataclass(frozen=True)
class Manager:
    """Who changes staff, and so how far it goes: nobody gives what it does not have, and only an administrator
    touches administrators. ``user_id`` None: the command line, which may do everything."""

    user_id: int | None = None
    role: str = Role.ADMIN
    permissions: frozenset[Permission] = frozenset(Permission)
    scope: Scope = EVERYTHING

    @property
    def admin(self) -> bool:
        """True for an administrator."""
        return self.role == Role.ADMIN

    def over(self, user: StaffUser) -> bool:
        """True where it may change this user: never itself, and unless it is an administrator only somebody who has and
        sees less. With another address one could take over the account and act under a peer's name."""
        if user.id == self.user_id:
            return False
        if self.admin:
            return True
        theirs = permissions_of(user), _zones_of(user)
        mine = self.permissions, self.scope.zone_ids
        return theirs != mine and theirs[0] <= mine[0] and _within(theirs[1], mine[1])


def _zones_of(user: StaffUser) -> frozenset[int] | None:
    limited = user.limited and user.role != Role.ADMIN
    return frozenset(zone.zone_id for zone in user.zones) if limited else None


def _within(zones: frozenset[int] | None, around: frozenset[int] | None) -> bool:
    return around is None or (zones is not None and zones <= around)


COMMAND_LINE = Manager()
_ADDRESS = re.compile(r"[!-?A-~]+@[!-?A-~]+")
"""Printable ASCII without blanks on both sides of one @: what else there is shows when the e-mail does not arrive."""


def normal(email: str) -> str:
    """The address as it is stored: trimmed, in lower case."""
    return email.strip().lower()


def find(email: str) -> StaffUser:
    """The staff user with this address. Raises Refused where there is none."""
    user = session().scalar(select(StaffUser).where(StaffUser.email == normal(email)))
    if user is None:
        raise Refused("staff.unknown", email=email)
    return user


def everybody() -> list[StaffUser]:
    """All staff users, active ones first, by name."""
    return list(session().scalars(select(StaffUser).order_by(StaffUser.active.desc(), StaffUser.name, StaffUser.id)))


def permissions_of(user: StaffUser) -> frozenset[Permission]:
    """What the user may do: everything for an administrator, else the granted permissions."""
    return effective(user.role, (grant.permission for grant in user.grants))


def effective(role: str, granted: Iterable[str]) -> frozenset[Permission]:
    """The permissions of a role with ``granted`` (texts); one that the program no longer knows counts for nothing."""
    if role == Role.ADMIN:
        return frozenset(Permission)
    known = {str(permission) for permission in Permission}
    return frozenset(Permission(text) for text in granted if text in known)


def authenticate(email: str, password: str) -> StaffUser | None:
    """The active staff user with this address and password; None, after the same time, in every other case."""
    user = session().scalar(select(StaffUser).where(StaffUser.email == normal(email)))
    right = passwords.matches(user.password_hash if user else "", password[: passwords.MAXIMUM + 1])
    return user if right and user is not None and user.active else None


def active(email: str) -> StaffUser | None:
    """The active staff user with this address."""
    query = select(StaffUser).where(StaffUser.email == normal(email), StaffUser.active)
    found: StaffUser | None = session().scalar(query)
    return found


def signed_in(user_id: int, password: str) -> StaffUser:
    """The password was right: renew the stored hash where its parameters are old. Raises Refused if deactivated
    meanwhile."""
    user = session().get(StaffUser, user_id)
    if user is None or not user.active:
        raise Refused("staff.unknown", email="")
    if passwords.outdated(user.password_hash):
        user.password_hash = passwords.hashed(password)
    return user


def create(email: str, name: str, role: str, password: str) -> StaffUser:
    """Add a staff user with the permissions that the role starts from. Raises Refused for a taken or wrong address,
    an unknown role, no name or a weak password.
    """
    address = free_address(email, None)
    check_values(name, role)
    passwords.check_new(password, address)
    return _add(address, name, role, passwords.hashed(password))


def invite(email: str, name: str, role: str, by: Manager = COMMAND_LINE) -> StaffUser:
    """Add a staff user who chooses the password by a link (``links.send``). Raises Refused like ``create``, and where
    ``by`` would give more than it has."""
    address = free_address(email, None)
    check_values(name, role)
    may_give(by, role, PRESETS[Role(role)] if role != Role.ADMIN else frozenset())
    user = _add(address, name, role, "")
    if by.scope.zone_ids is not None:
        user.limited = True
        user.zones = [StaffZone(zone_id=zone_id) for zone_id in sorted(by.scope.zone_ids)]
        session().flush()
    return user


def free_address(email: str, own_id: int | None) -> str:
    """``email`` as it is stored. Refused where it is none, or another user's than ``own_id``."""
    address = normal(email)
    if len(address) > 254 or not _ADDRESS.fullmatch(address):
        raise Refused("staff.email", email=email)
    if session().scalar(select(StaffUser.id).where(StaffUser.email == address)) not in (None, own_id):
        raise Refused("staff.taken", email=address)
    return address


def check_values(name: str, role: str) -> None:
    """Refused for no name or an unknown role."""
    if not name.strip() or len(name.strip()) > 120:
        raise Refused("staff.name")
    if role not in set(Role):
        raise Refused("staff.role", role=role, known=", ".join(Role))


def may_give(by: Manager, role: str, permissions: frozenset[Permission]) -> None:
    """Refused where ``by`` would give a role or permissions that it does not have itself."""
    if role == Role.ADMIN and not by.admin:
        raise Refused("staff.only_admins")
    if permissions - by.permissions:
        raise Refused("staff.not_yours", permission=", ".join(sorted(permissions - by.permissions)))


def _add(address: str, name: str, role: str, password_hash: str) -> StaffUser:
    user = StaffUser(
        email=address,
        name=name.strip(),
        role=role,
        password_hash=password_hash,
        active=True,
        language="",
        session_epoch=0,
        created_at=clock.now(),
    )
    if role != Role.ADMIN:
        user.grants = [StaffGrant(permission=permission.value) for permission in sorted(PRESETS[Role(role)])]
    session().add(user)
    session().flush()
    after = {"name": user.name, "role": role, "permissions": sorted(permissions_of(user))}
    audit.record("staff.create", f"staff:{address}", None, after)
    return user


def grant(email: str, permission: str) -> bool:
    """Give one permission; effective at the user's next request. False where the user has it already."""
    user, wanted = find(email), _permission(permission)
    if wanted in permissions_of(user):
        return False
    user.grants.append(StaffGrant(permission=wanted.value))
    session().flush()
    audit.record("staff.grant", f"staff:{user.email}", None, {"permission": wanted.value})
    return True


def revoke(email: str, permission: str) -> bool:
    """Take one permission; effective at the user's next request. False where the user has it not. Administrators have
    every permission: refused.
    """
    user, unwanted = find(email), _permission(permission)
    if user.role == Role.ADMIN:
        raise Refused("staff.admin_has_all", email=user.email)
    held = [item for item in user.grants if item.permission == unwanted.value]
    for item in held:
        user.grants.remove(item)
    session().flush()
    if held:
        audit.record("staff.revoke", f"staff:{user.email}", {"permission": unwanted.value}, None)
    return bool(held)


def change_password(user_id: int, old: str, new: str) -> StaffUser:
    """Replace the password and end every session of the user. Raises Refused for a wrong old or a weak new one."""
    user = session().get(StaffUser, user_id)
    if user is None or not passwords.matches(user.password_hash, old):
        raise Refused("staff.password_wrong")
    passwords.check_new(new, user.email)
    if old == new:
        raise Refused("staff.password_same")
    user.password_hash = passwords.hashed(new)
    links.end_earlier(user.id)
    sessions.end_all(user)
    audit.record("staff.password", f"staff:{user.email}", None, {"password": "changed"})
    return user


def set_password(email: str, new: str) -> StaffUser:
    """Give a password from the command line and end every session and every link of the user. Refused for an unknown
    person or a weak password."""
    user = find(email)
    passwords.check_new(new, user.email)
    user.password_hash = passwords.hashed(new)
    links.end_earlier(user.id)
    sessions.end_all(user)
    audit.record("staff.password", f"staff:{user.email}", None, {"password": "changed"})
    return user


def set_active(email: str, active: bool) -> StaffUser:
    """Deactivate (out at the next request) or activate again. The last active administrator cannot be deactivated."""
    user = find(email)
    if not active and user.active:
        keep_an_administrator(user)
    before = user.active
    user.active = active
    session().flush()
    if not active:
        sessions.end_all(user)
    audit.record("staff.active", f"staff:{user.email}", {"active": before}, {"active": active})
    return user


def keep_an_administrator(leaving: StaffUser) -> None:
    """Refused("staff.last_admin") where no other administrator who can log in would be left.

    The administrators' rows are locked first: of two who demote each other at once, the second waits and then counts
    without the first.
    """
    if leaving.role != Role.ADMIN:
        return
    locked = (
        select(StaffUser.id)
        .where(StaffUser.role == Role.ADMIN, StaffUser.active, StaffUser.password_hash != "")
        .order_by(StaffUser.id)
        .with_for_update()
    )
    others = [user_id for user_id in session().scalars(locked) if user_id != leaving.id]
    if not others:
        raise Refused("staff.last_admin")


def choose_language(user_id: int, language: str) -> None:
    """Remember the language in which the user wants the pages; an unknown one changes nothing."""
    user = session().get(StaffUser, user_id)
    if user is not None and language in LANGUAGES:
        user.language = language


def _permission(text: str) -> Permission:
    try:
        return Permission(text)
    except ValueError:
        raise Refused("staff.permission", permission=text, known=", ".join(Permission)) from None
