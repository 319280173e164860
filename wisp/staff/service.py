"""Staff users: who they are, what each is allowed, log-in and passwords."""

from collections.abc import Iterable

from sqlalchemy import func, select

from wisp.core import audit, clock
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.core.locales import LANGUAGES
from wisp.core.permissions import PRESETS, Permission, Role
from wisp.staff import passwords
from wisp.staff.models import StaffGrant, StaffUser


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


def signed_in(user_id: int, password: str) -> StaffUser:
    """Note the log-in; renew the stored hash where its parameters are old. Raises Refused if deactivated meanwhile."""
    user = session().get(StaffUser, user_id)
    if user is None or not user.active:
        raise Refused("staff.unknown", email="")
    user.last_login_at = clock.now()
    if passwords.outdated(user.password_hash):
        user.password_hash = passwords.hashed(password)
    return user


def create(email: str, name: str, role: str, password: str) -> StaffUser:
    """Add a staff user with the permissions that the role starts from. Raises Refused for a taken or wrong address,
    an unknown role, no name or a weak password.
    """
    address = normal(email)
    if len(address) > 254 or address.count("@") != 1 or address.startswith("@") or address.endswith("@"):
        raise Refused("staff.email", email=email)
    if not name.strip() or len(name.strip()) > 120:
        raise Refused("staff.name")
    if role not in set(Role):
        raise Refused("staff.role", role=role, known=", ".join(Role))
    passwords.check_new(password, address)
    if session().scalar(select(StaffUser.id).where(StaffUser.email == address)) is not None:
        raise Refused("staff.taken", email=address)
    user = StaffUser(
        email=address,
        name=name.strip(),
        role=role,
        password_hash=passwords.hashed(password),
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
    user.session_epoch += 1
    audit.record("staff.password", f"staff:{user.email}", None, {"password": "changed"})
    return user


def set_active(email: str, active: bool) -> StaffUser:
    """Deactivate (out at the next request) or activate again. The last active administrator cannot be deactivated."""
    user = find(email)
    if not active and user.active and user.role == Role.ADMIN and _administrators() < 2:
        raise Refused("staff.last_admin")
    before = user.active
    user.active = active
    if not active:
        user.session_epoch += 1
    session().flush()
    audit.record("staff.active", f"staff:{user.email}", {"active": before}, {"active": active})
    return user


def choose_language(user_id: int, language: str) -> None:
    """Remember the language in which the user wants the pages; an unknown one changes nothing."""
    user = session().get(StaffUser, user_id)
    if user is not None and language in LANGUAGES:
        user.language = language


def _administrators() -> int:
    condition = (StaffUser.role == Role.ADMIN, StaffUser.active)
    return session().scalar(select(func.count()).select_from(StaffUser).where(*condition)) or 0


def _permission(text: str) -> Permission:
    try:
        return Permission(text)
    except ValueError:
        raise Refused("staff.permission", permission=text, known=", ".join(Permission)) from None
