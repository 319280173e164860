"""What the history of a client says of its router: when it confirmed that the service is back, or off."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _

from wisp.access.models import RouterAnswer
from wisp.access.texts import explain
from wisp.clients.models import Client
from wisp.clients.timeline import Said, Source, add, columns
from wisp.routers.models import Router


def _rows(client: Client) -> list[sa.Select[Any]]:
    kind = sa.case((RouterAnswer.kind == "cut", "suspended"), else_="reactivated")
    query = sa.select(
        *columns("router", kind, RouterAnswer.at, RouterAnswer.id, actor="router:" + Router.name,
                 detail=RouterAnswer.state + "|" + RouterAnswer.detail)
    ).join(Router, Router.id == RouterAnswer.router_id)  # fmt: skip
    return [query.where(RouterAnswer.client_id == client.id)]


def _words(client: Client, rows: Sequence[Any]) -> list[Said]:
    return [_sentence(row) for row in rows]


def _sentence(row: Any) -> Said:
    state, detail = row.detail.split("|", 1)
    router = row.actor.removeprefix("router:")
    look, badge = "success", _("Reactivated")
    if row.kind == "suspended":
        look, badge = "danger", _("Off")
        words = _("Router %(router)s confirmed that the service is off.", router=router)
    elif state == "unchanged":
        words = _("Router %(router)s confirmed that the service is back: it was off the list already.", router=router)
    else:
        words = _("Router %(router)s confirmed that the service is back.", router=router)
    more = explain(detail)
    return Said(f"{words} {more}".strip(), look, str(badge))


def register() -> None:
    """Add this source."""
    add(Source("router", _rows, _words))
