"""Pages that only the demo has: the mail that would have been sent, and the switches of the simulated router."""

import os
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, redirect, request, url_for
from flask_babel import gettext as _

from wisp.core.permissions import Permission
from wisp.demo import mailbox
from wisp.demo.routeros import Remote
from wisp.web import authenticated, render, requires, toast
from wisp.web.requests import row_number
from wisp.web.tables import search_text

bp = Blueprint("demo", __name__, url_prefix="/demo")
PER_PAGE = 50
STATES: dict[str, dict[str, Any]] = {
    "on": {"off": False, "slow": 0},
    "off": {"off": True, "slow": 0},
    "slow": {"off": False, "slow": 50},
}
MENUS = (
    "/ppp/secret", "/ppp/active", "/ip/hotspot/user", "/ip/hotspot/active", "/ip/dhcp-server/lease", "/queue/simple",
)  # fmt: skip


def _folder() -> Path:
    return Path(os.environ["WISP_DEMO"]) / "mail"


def _router() -> Remote:
    return Remote(int(os.environ["WISP_DEMO_ROUTER"]))


@bp.get("/correo/")
@requires(Permission.OUTBOX_VIEW)
def mail() -> Response:
    """The local mail box: what clients would have received."""
    found = mailbox.kept(_folder(), search_text())
    page = max(1, row_number(request.args.get("page")) or 1)
    rows = found[(page - 1) * PER_PAGE : page * PER_PAGE]
    return render(
        "demo/mail.html",
        partial="demo/_mail.html",
        rows=rows,
        total=len(found),
        q=search_text(),
        number=page,
        pages=-(-len(found) // PER_PAGE),
    )


@bp.get("/correo/<int:number>/")
@requires(Permission.OUTBOX_VIEW)
def message(number: int) -> Response:
    """One message as it arrived."""
    found = mailbox.read(_folder(), number)
    if found is None:
        abort(404)
    return render(
        "demo/message.html",
        number=number,
        message=found,
        text=mailbox.text_of(found),
        has_html=bool(mailbox.html_of(found)),
        attachments=mailbox.attachments_of(found),
    )


@bp.get("/correo/<int:number>/html")
@requires(Permission.OUTBOX_VIEW)
def message_html(number: int) -> Response:
    """The HTML of one message, locked in: it may neither run, nor load, nor lead anything."""
    found = mailbox.read(_folder(), number)
    if found is None or not mailbox.html_of(found):
        abort(404)
    policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
    headers = {"Content-Security-Policy": policy, "X-Frame-Options": "SAMEORIGIN"}
    return Response(mailbox.html_of(found), mimetype="text/html", headers=headers)


@bp.get("/router/")
@authenticated
def router() -> Response:
    """The simulated router: how it is, and what stands on its lists."""
    return render("demo/router.html", partial="demo/_router.html", **_state())


@bp.post("/router/")
@requires(Permission.ROUTERS_EDIT)
def switch() -> Any:
    """Switch the simulated router: on, off, slow."""
    wanted = STATES.get(request.form.get("state", ""))
    if wanted is None:
        abort(400)
    with _router() as remote:
        remote.call("switch", values=wanted)
    toast(_("The simulated router was switched."))
    return redirect(url_for("demo.router"), 303)


def _state() -> dict[str, Any]:
    with _router() as remote:
        state = remote.call("state")
        tallies = remote.call("tally", menus=MENUS)
        entries = remote.call("snapshot", menu="/ip/firewall/address-list")
    switches = state["switches"]
    lists: dict[str, int] = {}
    for entry in entries:
        lists[entry["list"]] = lists.get(entry["list"], 0) + 1
    present = "off" if switches["off"] else "slow" if switches["slow"] else "on"
    return {
        "present": present,
        "version": state["version"],
        "counters": state["counters"],
        "lists": sorted(lists.items()),
        "menus": [(menu, tally["rows"], tally["disabled"]) for menu, tally in zip(MENUS, tallies, strict=True)],
    }
