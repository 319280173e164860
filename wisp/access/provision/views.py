"""Pages: what the clients of a router have on it, and the panel on a client's tab "Conexión"."""

from typing import Any

from flask import Blueprint, Response, abort, render_template, request, url_for
from flask_babel import gettext as _

from wisp.access.provision import adopting, service, texts
from wisp.access.provision.wanted import MENU
from wisp.access.views import whole_router
from wisp.clients import service as clients
from wisp.clients.models import Client
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.permissions import Permission
from wisp.gateway import GatewayError
from wisp.routers.texts import cause
from wisp.web import go, is_partial, render, requires, scope, toast

bp = Blueprint("provision", __name__)


def _client(code: str) -> Client:
    try:
        return clients.find(code, scope())
    except Refused:
        abort(404)


@bp.get("/router/<int:router_id>/clientes/")
@requires(Permission.ROUTERS_SYNC)
def index(router_id: int) -> Response:
    """How the router's clients stand on it, with those that failed or whose place somebody else's object has."""
    router = whole_router(router_id)
    context: dict[str, Any] = {
        "router": router, "tab": "tools", "counts": service.counts(router_id), "work": service.last(router_id),
        "lists": {state: service.listed(router_id, state) for state in ("failed", "foreign", "waiting")},
        "texts": texts, "cause": cause,
    }  # fmt: skip
    return render("access/provision/router.html", partial="access/provision/_counts.html", **context)


@bp.post("/router/<int:router_id>/clientes/")
@requires(Permission.ROUTERS_SYNC)
def write_all(router_id: int) -> Response:
    """Order that everything be compared and written."""
    whole_router(router_id)
    try:
        with transaction():
            service.write_router(whole_router(router_id))
    except Refused as refused:
        toast(str(refused), "danger")
    else:
        toast(_("Ordered: everything is compared with the router, and what differs is written."))
    return go(url_for("provision.index", router_id=router_id))


@bp.post("/router/<int:router_id>/clientes/adoptar/")
@requires(Permission.ROUTERS_SYNC, Permission.ROUTERS_EDIT)
def adopt(router_id: int) -> Response:
    """Make what stands in one client's place ours; then it becomes what the client needs."""
    router, wanted = whole_router(router_id), request.form.get("client", "")
    if not wanted:
        abort(400)
    client = _client(wanted)
    if client.router_id != router_id or client.cancelled_at is not None:
        abort(404)
    wish, code, menu = adopting.wish(router, client), client.code, MENU[client.connection]
    session().rollback()
    try:
        row = adopting.adopt(wish)
    except Refused as refused:
        toast(str(refused), "danger")
    except GatewayError as error:
        toast(cause(error.code.value), "danger")
    else:
        with transaction():
            adopting.record(whole_router(router_id), _client(code), menu, row)
        toast(_("It is ours now, for client %(code)s.", code=code))
    if request.form.get("from") == "client":
        return go(url_for("clients.connection", code=code))
    return go(url_for("provision.index", router_id=router_id))


# The client's panel ----------------------------------------------------------------------------------


@bp.get("/clientes/<code>/conexion/router/")
@requires(Permission.CLIENTS_VIEW)
def of_client(code: str) -> Response:
    """How the client stands on its router: the panel, which asks for itself while it waits."""
    client = _client(code)
    if not is_partial():
        return go(url_for("clients.connection", code=code))
    return render("access/provision/_client.html", **_panel(client))


@bp.post("/clientes/<code>/conexion/escribir/")
@requires(Permission.CLIENTS_EDIT)
def write(code: str) -> Response:
    """Order that the client be written to its router now."""
    client = _client(code)
    if client.cancelled_at is not None:
        abort(404)
    with transaction():
        ordered = service.write_client(_client(code))
    if ordered:
        toast(_("Ordered: it is written as soon as the router answers."))
    else:
        toast(str(texts.DETAILS["off"]), "warning")
    return go(url_for("clients.connection", code=code))


def client_panel(client: Client) -> str:
    """The part of the client's tab "Conexión" that says how it stands on its router."""
    return render_template("access/provision/_client.html", **_panel(client))


def _panel(client: Client) -> dict[str, Any]:
    standing = service.standing(client)
    return {
        "client": client, "standing": standing, "texts": texts,
        "router_name": client.zone.router.name, "work": service.last(client.router_id), "cause": cause,
        "may_see_router": scope().zone_ids is None,
    }  # fmt: skip
