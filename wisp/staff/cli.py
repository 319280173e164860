"""``flask staff``: add, invite, edit, grant, revoke, role, zones, password, activate, deactivate, list; and ``flask
audit list``: what was changed, by whom, from where."""

from datetime import datetime
from typing import Any

import click
from flask.cli import AppGroup

from wisp.core.audit import AuditEntry
from wisp.core.commands import command, emit, json_option, password_option, read_password
from wisp.core.db import transaction
from wisp.core.permissions import Role
from wisp.core.scope import EVERYTHING
from wisp.routers import service as routers
from wisp.settings import service as settings
from wisp.staff import audit_log, changes, links, service, totp
from wisp.staff.models import StaffUser
from wisp.staff.service import COMMAND_LINE

group = AppGroup("staff", help="Staff users and their permissions.")


def shown(user: StaffUser) -> dict[str, Any]:
    """A staff user as JSON."""
    return {
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "active": user.active,
        "permissions": sorted(service.permissions_of(user)),
        "zones": changes.zones_of(user),
        "second_factor": totp.enabled(user),
        "last_login": user.last_login_at,
    }


@group.command("add")
@click.option("--email", required=True)
@click.option("--name", required=True)
@click.option("--role", required=True, type=click.Choice([role.value for role in Role]))
@password_option
@json_option
@command
def add(email: str, name: str, role: str, password_stdin: bool, as_json: bool) -> None:
    """Add a staff user with the permissions that the role starts from."""
    password = read_password()
    with transaction():
        user = service.create(email, name, role, password)
        answer = shown(user)
    emit(answer, as_json, f"{user.email} added as {user.role}")


@group.command("invite")
@click.option("--email", required=True)
@click.option("--name", required=True)
@click.option("--role", required=True, type=click.Choice([role.value for role in Role]))
@json_option
@command
def invite(email: str, name: str, role: str, as_json: bool) -> None:
    """Add a staff user who chooses the password by a link sent by e-mail."""
    with transaction():
        user = service.invite(email, name, role)
        links.send(user, links.INVITATION)
        answer = shown(user)
    emit(answer, as_json, f"{user.email} invited as {user.role}")


@group.command("grant")
@click.argument("email")
@click.argument("permission")
@json_option
@command
def grant(email: str, permission: str, as_json: bool) -> None:
    """Give one permission."""
    with transaction():
        given = service.grant(email, permission)
        answer = shown(service.find(email))
    emit(answer, as_json, f"{email}: {permission} {'granted' if given else 'was granted already'}")


@group.command("revoke")
@click.argument("email")
@click.argument("permission")
@json_option
@command
def revoke(email: str, permission: str, as_json: bool) -> None:
    """Take one permission away."""
    with transaction():
        taken = service.revoke(email, permission)
        answer = shown(service.find(email))
    emit(answer, as_json, f"{email}: {permission} {'revoked' if taken else 'was not granted'}")


@group.command("role")
@click.argument("email")
@click.argument("role", type=click.Choice([role.value for role in Role]))
@json_option
@command
def role_(email: str, role: str, as_json: bool) -> None:
    """Give another role, with the permissions of its preset."""
    with transaction():
        user = service.find(email)
        changes.edit(user.id, user.email, user.name, role, COMMAND_LINE)
        answer = shown(user)
    emit(answer, as_json, f"{email} is {role} now")


@group.command("zones")
@click.argument("email")
@click.argument("zone", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Lift the limit.")
@json_option
@command
def zones_(email: str, zone: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Limit somebody to the named zones, or lift the limit."""
    if everything == bool(zone):
        raise click.UsageError("name the zones, or --all")
    with transaction():
        user = service.find(email)
        changes.set_zones(user.id, not everything, [routers.find_zone(name).id for name in zone], COMMAND_LINE)
        answer = shown(user)
    emit(answer, as_json, f"{email} sees " + ("all zones" if everything else ", ".join(zone)))


@group.command("edit")
@click.argument("email")
@click.option("--name", help="Another name.")
@click.option("--email", "address", help="Another address; links that were sent to the earlier one end.")
@json_option
@command
def edit(email: str, name: str | None, address: str | None, as_json: bool) -> None:
    """Change name or address."""
    if name is None and address is None:
        raise click.UsageError("nothing to change: --name or --email")
    with transaction():
        user = service.find(email)
        changes.edit(user.id, address or user.email, name or user.name, user.role, COMMAND_LINE)
        answer = shown(user)
    emit(answer, as_json, f"{answer['email']} changed")


@group.command("password")
@click.argument("email")
@password_option
@json_option
@command
def password(email: str, password_stdin: bool, as_json: bool) -> None:
    """Set a password, for whoever cannot have a link sent; all sessions end. The second factor stays."""
    new = read_password()
    with transaction():
        answer = shown(service.set_password(email, new))
    emit(answer, as_json, f"{email} has a new password; all sessions have ended")


@group.command("activate")
@click.argument("email")
@json_option
@command
def activate(email: str, as_json: bool) -> None:
    """Let somebody log in again."""
    _set_active(email, True, as_json)


@group.command("deactivate")
@click.argument("email")
@json_option
@command
def deactivate(email: str, as_json: bool) -> None:
    """Log somebody out at once and for good."""
    _set_active(email, False, as_json)


def _set_active(email: str, active: bool, as_json: bool) -> None:
    with transaction():
        user = changes.set_active(service.find(email).id, active, COMMAND_LINE)
        answer = shown(user)
    emit(answer, as_json, f"{email} is {'active' if active else 'deactivated'}")


@group.command("second-factor")
@click.argument("email")
@click.argument("state", type=click.Choice(["off"]))
@json_option
@command
def second_factor(email: str, state: str, as_json: bool) -> None:
    """Take the second factor off, for somebody who lost the phone and the recovery codes."""
    with transaction():
        user = changes.remove_second_factor(service.find(email).id, COMMAND_LINE)
        answer = shown(user)
    emit(answer, as_json, f"{email}: second factor {state}")


@group.command("list")
@json_option
@command
def list_(as_json: bool) -> None:
    """All staff users with their permissions."""
    emit([shown(user) for user in service.everybody()], as_json)


audit_group = AppGroup("audit", help="The log of every change.")
_day = click.DateTime(["%Y-%m-%d"])


def entry_shown(entry: AuditEntry) -> dict[str, Any]:
    """A line of the log as JSON, with the names as they are stored."""
    return {
        "at": entry.at, "actor": entry.actor, "ip": entry.ip, "action": entry.action, "target": entry.target,
        "before": entry.before, "after": entry.after,
    }  # fmt: skip


@audit_group.command("list")
@click.option("--text", default="", help="In the object, the actor, the address or the values.")
@click.option("--action", default="", help="Such as client.edit.")
@click.option(
    "--actor",
    default="",
    help="Such as staff:ana@example.com, cli:root, system; with a colon at the end all of a kind.",
)
@click.option("--since", type=_day, help="First day.")
@click.option("--until", type=_day, help="Last day.")
@json_option
@command
def audit_list(
    text: str, action: str, actor: str, since: datetime | None, until: datetime | None, as_json: bool
) -> None:
    """Changes, newest first."""
    only = audit_log.Filters(text, action, actor, since.date() if since else None, until.date() if until else None)
    found = audit_log.query(EVERYTHING, only, settings.timezone())
    emit([entry_shown(entry) for entry in audit_log.everything(found)], as_json)
