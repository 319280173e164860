"""What the actions share: the choice of a zone, and clients as targets."""

from abc import abstractmethod
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import SelectField

from wisp.bulk.action import BulkAction, Found, Reach, Trail, Values
from wisp.clients.models import Client
from wisp.core.db import session
from wisp.core.scope import Scope
from wisp.routers import service as routers
from wisp.routers.models import Zone


class ZoneChoice(FlaskForm):
    """One zone, or all."""

    zone = SelectField(_l("Billing zone"))


def fill(form: Any, scope: Scope) -> None:
    """The zones inside ``scope``; empty until one is chosen: nobody reaches every zone by leaving a field alone."""
    zones = [(str(zone.id), f"{zone.router} · {zone.name}") for zone in routers.zone_names(scope)]
    form.zone.choices = [("", _("Choose…")), ("all", _("Apply in all zones")), *zones]


def chosen(form: Any) -> int | None:
    """The zone's id, None for all."""
    return None if form.zone.data == "all" else int(form.zone.data)


def about(values: Values) -> str:
    """The zone of an order, in words."""
    if values["zone"] is None:
        return str(_("All zones"))
    zone = session().get(Zone, values["zone"])
    return str(_("Zone %(zone)s", zone=zone.name if zone else "–"))


def within(column: Any, values: Values, scope: Scope) -> list[Any]:
    """The conditions that keep a query to the chosen zone and the person's zones."""
    found = [] if values["zone"] is None else [column == values["zone"]]
    return found + ([] if scope.zone_ids is None else [column.in_(scope.zone_ids)])


class ClientAction(BulkAction):
    """An action whose targets are clients. It adds ``narrow`` (which ones), ``value`` (how one stands), and ``name``:
    how the value is called where a client's changes are written down."""

    name: str

    @abstractmethod
    def narrow(self, values: Values) -> list[Any]:
        """Conditions over Client: those that would change."""

    @abstractmethod
    def value(self, client: Client) -> Values:
        """How a client stands."""

    def fill(self, form: Any, scope: Scope) -> None:
        """The zones."""
        fill(form, scope)

    def targets(self, values: Values, scope: Scope) -> "sa.Select[int]":
        """Clients that are not cancelled, of the chosen zones."""
        conditions = [*within(Client.zone_id, values, scope), *self.narrow(values)]
        return sa.select(Client.id).where(Client.cancelled_at.is_(None), *conditions)

    def reach(self, values: Values, scope: Scope) -> Reach:
        """Each client is one change."""
        query = self.targets(values, scope).with_only_columns(sa.func.count(), sa.func.count(Client.zone_id.distinct()))
        clients, zones = session().execute(query).one()
        return Reach(clients, zones, clients)

    def look(self, ids: Collection[int], lock: bool = False) -> list[Found]:
        """The clients, without those that were cancelled."""
        query = sa.select(Client).where(Client.id.in_(ids), Client.cancelled_at.is_(None)).order_by(Client.id)
        if lock:
            query = query.with_for_update(of=Client)
        clients = session().scalars(query.execution_options(populate_existing=True))
        return [Found(c.id, c.zone_id, c.id, self.value(c), c) for c in clients]

    def trail(self, found: Found) -> Trail:
        """Every edit of the client."""
        return Trail("client.edit", f"client:{found.thing.code}", self.name)
