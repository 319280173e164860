"""Pages: what the clients of a router have on it, and the panel on a client's tab "Conexión"."""

from typing import Any

from flask import Blueprint, Response, abort, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from wisp.access.provision import adopting, service, texts
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
        "texts": texts, "cause": cause, "limit": adopting.LARGEST,
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
    """Make ours what stands in the place of the clients that were ticked, or of all; then it becomes what they need."""
    router, codes = whole_router(router_id), request.form.getlist("client")
    if request.form.get("all"):
        codes = [code for _row, code, _name in service.listed(router_id, "foreign", adopting.LARGEST)]
    chosen = {client.id: client for client in map(_client, dict.fromkeys(codes[: adopting.LARGEST]))}
    chosen = {i: client for i, client in chosen.items() if client.router_id == router_id and not client.cancelled_at}
    if codes and not chosen:
        abort(404)
    back = url_for("provision.index", router_id=router_id)
    if request.form.get("from") == "client" and chosen:
        back = url_for("clients.connection", code=next(iter(chosen.values())).code)
    if not codes:
        toast(str(Refused("access.nothing_ticked")), "danger")
        return go(back)
    plan = adopting.plan(router, list(chosen.values()))
    session().rollback()
    try:
        adopted = adopting.adopt(plan)
    except GatewayError as error:
        toast(cause(error.code.value), "danger")
        return go(back)
    with transaction():
        adopting.record(whole_router(router_id), adopted)
    _say_adopted(adopted, len(chosen))
    return go(back)


def _say_adopted(adopted: adopting.Adopted, of: int) -> None:
    taken, unknown = len(adopted.taken), of - len(adopted.taken) - len(adopted.gone) - len(adopted.failed)
    if taken:
        text = ngettext("%(count)s object is ours now.", "%(count)s objects are ours now.", taken, count=taken)
        toast(text + " " + _("What differs is written as soon as the router answers."))
    elif adopted.gone and not adopted.failed:
        toast(str(Refused("access.not_foreign")), "danger")
    if adopted.gone and (taken or adopted.failed):
        gone = len(adopted.gone)
        toast(
            ngettext("%(count)s had changed meanwhile.", "%(count)s had changed meanwhile.", gone, count=gone), "info"
        )
    if adopted.failed:
        toast(_("The router refused: %(value)s", value="; ".join([*adopted.failed.values()][:3])), "danger")
    if unknown:
        toast(_("The connection broke off: of %(count)s it is not known. Look again.", count=unknown), "warning")


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
