"""``flask staff``: add, grant, revoke, list."""

from typing import Any

import click
from flask.cli import AppGroup

from wisp.core.commands import command, emit, json_option, password_option, read_password
from wisp.core.db import transaction
from wisp.core.permissions import Role
from wisp.staff import service
from wisp.staff.models import StaffUser

group = AppGroup("staff", help="Staff users and their permissions.")


def shown(user: StaffUser) -> dict[str, Any]:
    """A staff user as JSON."""
    return {
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "active": user.active,
        "permissions": sorted(service.permissions_of(user)),
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


@group.command("list")
@json_option
@command
def list_(as_json: bool) -> None:
    """All staff users with their permissions."""
    emit([shown(user) for user in service.everybody()], as_json)
