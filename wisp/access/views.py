"""Pages under a router's tools: the firewall rules, the difference, the log, synchronise now.

What is read of a router here is read outside any transaction and with a deadline. Whoever is limited to some zones
does not get in: rules and lists are those of the whole router.
"""

from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from flask import Blueprint, Response, abort, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from markupsafe import Markup

from wisp.access import differences, repair, service, sessions, sync, texts, transcripts
from wisp.access.rules import script, verdicts
from wisp.access.rules import service as rules_service
from wisp.access.rules.wanted import FILTER6, MENUS
from wisp.clients.models import Client
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.lease import kept
from wisp.core.permissions import Permission
from wisp.gateway import GatewayError
from wisp.routers import service as routers
from wisp.routers.models import Router
from wisp.routers.texts import cause
from wisp.web import can, go, is_partial, render, requires, scope, toast

bp = Blueprint("access", __name__, url_prefix="/router")


def whole_router(router_id: int) -> Router:
    """The router, for who sees all of it: 404 where it is none of theirs, 403 where it is only in part."""
    router = routers.get_router(router_id, scope())
    if router is None:
        abort(404)
    if scope().zone_ids is not None:
        abort(403)
    return router


@bp.post("/<int:router_id>/sincronizar/")
@requires(Permission.ROUTERS_SYNC)
def sync_now(router_id: int) -> Response:
    """Order a synchronisation; it begins at once, also in a pause between attempts."""
    whole_router(router_id)
    with transaction():
        sync.mind_ipv6(router_id)
        service.request_sync([router_id])
    toast(_("The synchronisation is ordered; it begins at once."))
    if is_partial():
        return Response(status=204)
    back = {"difference": "access.difference", "log": "access.log"}.get(request.form.get("from", ""), "routers.tools")
    return go(url_for(back, router_id=router_id))


# Rules -----------------------------------------------------------------------------------------------


@bp.get("/<int:router_id>/reglas/")
@requires(Permission.ROUTERS_EDIT)
def rules(router_id: int) -> Response:
    """The rules as a script, how the last order ended and, where asked for, what stands on the router."""
    router = whole_router(router_id)
    wanted = rules_service.rules_of(router)
    settings = rules_service.settings()
    menus = [menu for menu in MENUS if "ipv6" not in menu or any(rule.menu == FILTER6 for rule in wanted)]
    context: dict[str, Any] = {
        "router": router, "tab": "tools", "order": rules_service.last_order(router_id), "rules": wanted,
        "settings": settings, "script": script.installation(wanted), "removal": script.removal(menus),
        "cause": cause, "texts": texts, "reading": None,
    }  # fmt: skip
    if "leer" in request.args:
        context["reading"] = _read_rules(router)
        context["router"] = whole_router(router_id)
    partials = {"rules-order": "access/_rules_order.html", "rules-read": "access/_rules_read.html"}
    return render("access/rules.html", partials=partials, **context)


def rules_marks(router_ids: list[int]) -> dict[int, str]:
    """What is known of the rules of these routers, for their list."""
    found = verdicts.of_routers(router_ids)
    link = can(Permission.ROUTERS_EDIT) and scope().zone_ids is None
    return {
        router_id: Markup(  # noqa: S704  (a template of ours, escaped where it is rendered)
            render_template(
                "access/_rules_mark.html", standing=found.get(router_id, verdicts.UNKNOWN), router_id=router_id,
                link=link, texts=texts,
            )
        )
        for router_id in router_ids
    }  # fmt: skip


def _read_rules(router: Router) -> dict[str, Any]:
    """What the router says now: differences and verdicts, or why it could not be read. It is kept as its verdict."""
    router_id = router.id
    seen = verdicts.look(router_id)
    with transaction():
        verdicts.record(router_id, seen)
    if seen.look is None:
        return {"error": seen.error, "detail": seen.detail}
    return {"error": "", "difference": seen.look.difference, "verdicts": seen.verdicts}


@bp.post("/<int:router_id>/reglas/")
@requires(Permission.ROUTERS_EDIT, Permission.ROUTERS_SYNC)
def rules_order(router_id: int) -> Response:
    """Order the installation or the removal; a job does it and the page shows how it ended."""
    whole_router(router_id)
    action = request.form.get("action", "")
    if action not in ("install", "remove"):
        abort(400)
    with transaction():
        rules_service.order(whole_router(router_id), action)
    return go(url_for("access.rules", router_id=router_id))


# Difference ------------------------------------------------------------------------------------------


@bp.get("/<int:router_id>/diferencia/")
@requires(Permission.ROUTERS_SYNC)
def difference(router_id: int) -> Response:
    """What the router's lists hold against what is wanted, read now; and the counts of earlier days."""
    whole_router(router_id)
    found, error = None, None
    try:
        found = differences.look(router_id)
    except GatewayError as failure:
        error = failure
    session().rollback()
    return render(
        "access/difference.html", router=whole_router(router_id), tab="tools", found=found, error=error, cause=cause,
        history=differences.history(router_id), texts=texts, line_key=repair.key,
    )  # fmt: skip


@bp.post("/<int:router_id>/diferencia/adoptar/")
@requires(Permission.ROUTERS_SYNC, Permission.ROUTERS_EDIT)
def adopt(router_id: int) -> Response:
    """Make one foreign entry ours, because a person says so; what is wanted decides then whether it stays."""
    whole_router(router_id)
    form = request.form
    try:
        wish = differences.adoption(router_id, form.get("id", ""), form.get("list", ""), form.get("address", ""))
        session().rollback()
        comment = differences.adopt(wish)
    except Refused as refused:
        toast(str(refused), "danger")
        return go(url_for("access.difference", router_id=router_id))
    except GatewayError as error:
        toast(cause(error.code.value), "danger")
        return go(url_for("access.difference", router_id=router_id))
    with transaction():
        differences.record_adoption(whole_router(router_id), wish, comment)
        service.request_sync([router_id])
    toast(_("The entry of %(address)s is ours now, for client %(code)s.", address=wish.address, code=wish.code))
    return go(url_for("access.difference", router_id=router_id))


@bp.post("/<int:router_id>/diferencia/reparar/")
@requires(Permission.ROUTERS_SYNC)
def repair_some(router_id: int) -> Response:
    """Put right the entries that were ticked, and say what came of it; the page then reads the router again."""
    whole_router(router_id)
    owner = uuid4().hex
    try:
        wanted = repair.chosen(request.form.getlist("line"))
        with transaction():
            plan = repair.begin(router_id, owner)
    except Refused as refused:
        toast(str(refused), "danger")
        return go(url_for("access.difference", router_id=router_id))
    done, error = None, ""
    with transcripts.transcribed() as transcript:
        try:
            with kept(lambda: sync.renew(router_id, owner)):
                done = repair.work(plan, wanted)
        except GatewayError as failure:
            error = failure.code.value
        finally:
            with transaction():
                repair.end(router_id, owner)
    with transaction():
        transcripts.record(router_id, transcript, error)
        if done is not None:
            repair.record(whole_router(router_id), done)
    _say_repaired(done, error)
    return go(url_for("access.difference", router_id=router_id))


def _say_repaired(done: repair.Done | None, error: str) -> None:
    if done is None:
        toast(_("The repair broke off: %(cause)s Part of it may be done.", cause=cause(error)), "danger")
        return
    count = len(done.repaired)
    if count:
        toast(ngettext("%(count)s entry was put right.", "%(count)s entries were put right.", count, count=count))
    if done.gone:
        text = ngettext(
            "%(count)s had changed meanwhile.", "%(count)s had changed meanwhile.", done.gone, count=done.gone
        )
        toast(text, "info")
    if done.failed:
        toast(_("The router refused: %(value)s", value="; ".join(done.failed[:3])), "danger")


# Log -------------------------------------------------------------------------------------------------


@bp.get("/<int:router_id>/registro/")
@requires(Permission.ROUTERS_SYNC)
def log(router_id: int) -> Response:
    """What was sent and answered in the last synchronisations; it refreshes itself."""
    router = whole_router(router_id)
    talks = transcripts.last(router_id)
    return render("access/log.html", partial="access/_log.html", router=router, tab="tools", talks=talks, cause=cause)


@bp.get("/<int:router_id>/sesiones/")
@requires(Permission.ROUTERS_SYNC)
def client_sessions(router_id: int) -> Response:
    """What one client of the router has open there right now."""
    router = whole_router(router_id)
    code = request.args.get("cliente", "").strip()
    context: dict[str, Any] = {"code": code, "client": None, "found": None, "error": None}
    if code:
        client = _client_of(router_id, code)
        context |= _read_sessions(router, client) if client is not None else {"found": []}
        context["client"] = client
    return render("access/sessions.html", router=whole_router(router_id), tab="tools", cause=cause, **context)


def _client_of(router_id: int, code: str) -> sa.Row[str, str, str, str | None] | None:
    query = sa.select(Client.code, Client.name, Client.username, Client.address).where(
        Client.router_id == router_id, Client.code == code, Client.cancelled_at.is_(None)
    )
    return session().execute(query).one_or_none()


def _read_sessions(router: Router, client: sa.Row[str, str, str, str | None]) -> dict[str, Any]:
    target = rules_service.target(router)
    session().rollback()
    if target is None:
        return {"error": rules_service.UNREADABLE}
    try:
        return {"found": sessions.read(target, client.username or "", client.address or "")}
    except GatewayError as error:
        return {"error": error.code.value}
