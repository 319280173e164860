"""The list of staff users."""

from flask import Blueprint, Response

from wisp.core.permissions import Permission
from wisp.staff import service
from wisp.staff.texts import PERMISSIONS, ROLES
from wisp.web import render, requires

bp = Blueprint("staff", __name__)


@bp.get("/staff/")
@requires(Permission.STAFF_MANAGE)
def index() -> Response:
    """Everybody, with role and permissions."""
    people = [(user, sorted(service.permissions_of(user))) for user in service.everybody()]
    return render("staff/list.html", people=people, roles=ROLES, permissions=PERMISSIONS)
