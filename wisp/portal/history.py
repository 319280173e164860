"""What the history of a client says of its screen: notices seen and confirmed, visits of its page."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _
from flask_babel import ngettext

from wisp.clients.models import Client
from wisp.clients.timeline import Said, Source, add, columns
from wisp.portal.models import PortalVisit


def _rows(client: Client) -> list[sa.Select[Any]]:
    """A day is one line, and its confirmation another; ``ref`` is the day as a number."""
    mine = PortalVisit.client_id == client.id
    day = sa.cast(sa.func.replace(sa.cast(PortalVisit.day, sa.String), "-", ""), sa.Integer)
    met = sa.case((PortalVisit.notice_first_at.is_not(None), "notice"), else_="visit")
    at = sa.func.coalesce(PortalVisit.notice_first_at, PortalVisit.first_seen_at, type_=PortalVisit.first_seen_at.type)
    seen = sa.cast(PortalVisit.seen, sa.String)
    looks = sa.select(*columns("screen", "seen", at, day, actor="client", detail=met + "|" + seen)).where(mine)
    confirmed = sa.select(
        *columns("screen", "seen", PortalVisit.confirmed_at, day, actor="client", detail="confirmed|1")
    ).where(mine, PortalVisit.confirmed_at.is_not(None))
    return [looks, confirmed]


def _words(client: Client, rows: Sequence[Any]) -> list[Said]:
    said = []
    for row in rows:
        what, times = row.detail.split("|", 1)
        if what == "confirmed":
            text = _("The client confirmed the notice on its screen.")
        elif what == "notice":
            text = _("The client saw the notice on its screen.")
        else:
            text = ngettext(
                "The client looked at its page.", "The client looked at its page, %(count)s times that day.",
                max(int(times), 1), count=times,
            )  # fmt: skip
        said.append(Said(str(text)))
    return said


def register() -> None:
    """Add this source."""
    add(Source("screen", _rows, _words))
