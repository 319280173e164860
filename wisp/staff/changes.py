"""Changing a staff user from the staff page: data and role, permissions, zones, deactivating. All is audited and counts
from the person's next request."""

from collections.abc import Collection

import sqlalchemy as sa

from wisp.core import audit, clock
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.core.permissions import PRESETS, Permission, Role
from wisp.outbox import service as outbox
from wisp.routers.models import Zone
from wisp.settings.service import company
from wisp.staff import links, passwords, service, totp
from wisp.staff.models import StaffGrant, StaffUser, StaffZone
from wisp.staff.service import Manager

ADDRESS_CHANGED = "staff_address_changed"


def locked(user_id: int, by: Manager, *, also_yourself: bool = False) -> StaffUser:
    """The user, locked for a change by ``by``, whose own standing is read again under the lock: whoever was demoted a
    moment ago changes nothing any more. All administrators are locked in one order, so that two changes at once never
    wait for each other. Refused: ``staff.gone``, ``staff.yourself``, ``staff.only_admins``."""
    wanted = [user_id] + ([by.user_id] if by.user_id is not None else [])
    query = (
        sa.select(StaffUser)
        .where(sa.or_(StaffUser.id.in_(wanted), StaffUser.role == Role.ADMIN))
        .order_by(StaffUser.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = {user.id: user for user in session().scalars(query)}
    user = found.get(user_id)
    if user is None:
        raise Refused("staff.gone")
    if by.user_id is not None:
        manager = found.get(by.user_id)
        if manager is None or not manager.active or manager.role != by.role:
            raise Refused("staff.only_admins")
    if user.id == by.user_id:
        if also_yourself:
            return user
        raise Refused("staff.yourself")
    if not by.over(user):
        raise Refused("staff.only_admins")
    return user


def edit(
    user_id: int, email: str, name: str, role: str, by: Manager, seen: str | None = None, password: str = ""
) -> StaffUser:
    """Change address, name and role. Another role brings its preset's permissions; the last administrator keeps the
    role, and nobody changes the own one. Links sent to an earlier address end, and word goes there. The own address
    needs the own ``password``: a browser that was left alone must not be enough to take the account.
    Refused("staff.changed") where the role is no longer the one that ``by`` has ``seen``: an old page must not give it
    back."""
    user = locked(user_id, by, also_yourself=True)
    if seen is not None and seen != user.role:
        raise Refused("staff.changed")
    address = service.free_address(email, user.id)
    service.check_values(name, role)
    before = {"email": user.email, "name": user.name, "role": user.role}
    if role != user.role:
        if user.id == by.user_id:
            raise Refused("staff.yourself")
        service.may_give(by, role, PRESETS[Role(role)] if role != Role.ADMIN else frozenset())
        service.keep_an_administrator(user)
        user.role = role
        _replace(user, PRESETS[Role(role)] if role != Role.ADMIN else frozenset())
    if address != user.email:
        if user.id == by.user_id and not passwords.matches(user.password_hash, password):
            raise Refused("staff.password_wrong")
        links.end_earlier(user.id)
        _tell_former_address(user, address)
    target = f"staff:{user.email}"
    user.email, user.name = address, name.strip()
    session().flush()
    audit.record("staff.edit", target, before, {"email": user.email, "name": user.name, "role": user.role})
    return user


def _tell_former_address(user: StaffUser, address: str) -> None:
    if not user.password_hash:
        return  # never logged in: the invitation to that address ends, and that is all
    data = {"by": audit.actor().name.partition(":")[2], "at": clock.now().isoformat(), "email": address}
    outbox.queue_message(ADDRESS_CHANGED, user.email, language=user.language or company().language, data=data)
    outbox.request_delivery()


def set_permissions(
    user_id: int, wanted: Collection[Permission], by: Manager, seen: Collection[str] | None = None
) -> None:
    """Replace the granted permissions. What ``by`` does not have itself can be neither given nor taken: ``not_yours``.
    Refused for an administrator, who has every permission, and (``staff.changed``) where the permissions are no longer
    those that ``by`` has ``seen``: an old page must not give back what somebody else has taken meanwhile."""
    user = locked(user_id, by)
    if user.role == Role.ADMIN:
        raise Refused("staff.admin_has_all", email=user.email)
    before, after = service.permissions_of(user), frozenset(wanted)
    if seen is not None and before != frozenset(seen):
        raise Refused("staff.changed")
    outside = (before ^ after) - by.permissions
    if outside:
        raise Refused("staff.not_yours", permission=", ".join(sorted(outside)))
    _replace(user, after)
    if before != after:
        changed = {"given": sorted(after - before), "taken": sorted(before - after)}
        values = {"permissions": sorted(after), **changed}
        audit.record("staff.permissions", f"staff:{user.email}", {"permissions": sorted(before)}, values)


def _replace(user: StaffUser, wanted: frozenset[Permission]) -> None:
    present = {grant.permission for grant in user.grants}
    user.grants = [grant for grant in user.grants if grant.permission in wanted]
    user.grants += [StaffGrant(permission=permission.value) for permission in sorted(wanted - present)]
    session().flush()


def set_zones(
    user_id: int, limited: bool, zone_ids: Collection[int], by: Manager, seen: Collection[int] | None = None
) -> None:
    """Limit the user to some zones, or lift the limit. Refused: ``staff.no_zone`` where limited to nothing or to a zone
    that does not exist; ``staff.zones_yours`` where ``by`` is limited itself and would give more than it sees;
    ``staff.changed`` where the zones are no longer those that ``by`` has ``seen``; and for administrators, who see
    everything."""
    user = locked(user_id, by)
    if user.role == Role.ADMIN and limited:
        raise Refused("staff.admin_has_all", email=user.email)
    if seen is not None and set(seen) != {zone.zone_id for zone in user.zones}:
        raise Refused("staff.changed")
    wanted = set(zone_ids) if limited else set()
    names = zone_names(wanted)
    if limited and (not wanted or set(names) != wanted):
        raise Refused("staff.no_zone")
    if by.scope.zone_ids is not None and not (limited and wanted <= by.scope.zone_ids):
        raise Refused("staff.zones_yours")
    before = {"zones": zones_of(user)}
    user.limited = limited
    user.zones = [zone for zone in user.zones if zone.zone_id in wanted]
    present = {zone.zone_id for zone in user.zones}
    user.zones += [StaffZone(zone_id=zone_id) for zone_id in sorted(wanted - present)]
    session().flush()
    audit.record("staff.zones", f"staff:{user.email}", before, {"zones": zones_of(user)})


def zone_names(zone_ids: Collection[int]) -> dict[int, str]:
    """The names of these zones; those that do not exist are missing."""
    query = sa.select(Zone.id, Zone.name).where(Zone.id.in_(list(zone_ids)))
    return {row.id: row.name for row in session().execute(query)}


def zones_of(user: StaffUser) -> list[str] | None:
    """The names of the zones that the user is limited to; None = everything."""
    if not user.limited or user.role == Role.ADMIN:
        return None
    return sorted(zone_names([zone.zone_id for zone in user.zones]).values())


def set_active(user_id: int, active: bool, by: Manager) -> StaffUser:
    """Deactivate or activate; the links sent to somebody who is deactivated end."""
    user = locked(user_id, by)
    service.set_active(user.email, active)
    if not active:
        links.end_earlier(user.id)
    return user


def invite_again(user_id: int, by: Manager) -> StaffUser:
    """Send another invitation to somebody who has not chosen a password yet; the earlier link ends."""
    user = locked(user_id, by)
    if user.password_hash or not user.active:
        raise Refused("staff.accepted", email=user.email)
    links.send(user, links.INVITATION)
    audit.record("staff.invite", f"staff:{user.email}")
    return user


def remove_second_factor(user_id: int, by: Manager) -> StaffUser:
    """For somebody who lost the phone and the recovery codes."""
    user = locked(user_id, by)
    totp.remove(user)
    return user
