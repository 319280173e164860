"""Activate and deactivate periodic tasks: of one zone or of all, of zone billing and of own billing alike."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import contains_eager
from wtforms import RadioField, ValidationError
from wtforms.validators import InputRequired

from wisp.bulk.action import BulkAction, Found, Reach, Trail, Values
from wisp.bulk.actions import zones
from wisp.clients.models import Client
from wisp.core.db import session
from wisp.core.permissions import Permission
from wisp.core.scope import Scope
from wisp.routers.models import Zone
from wisp.routers.texts import KINDS
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule, PeriodicTask

_CHOICES = [("keep", _l("No change")), ("on", _l("Activate")), ("off", _l("Deactivate"))]
_VERBS = {True: _l("activate"), False: _l("deactivate")}
_ZONE_ID = sa.func.coalesce(Zone.id, Client.zone_id)


class SwitchForm(zones.ZoneChoice):
    """What to do with each kind, and where."""

    invoices = RadioField(KINDS["invoices"], choices=_CHOICES, default="keep")
    notice = RadioField(KINDS["notice"], choices=_CHOICES, default="keep")
    cut = RadioField(KINDS["cut"], choices=_CHOICES, default="keep")

    def validate_zone(self, field: Any) -> None:
        """A zone, or all of them, must be chosen."""
        InputRequired(_("Choose a zone, or all of them."))(self, field)

    def validate_cut(self, _field: Any) -> None:
        """Something must be chosen."""
        if all(self[kind.value].data == "keep" for kind in Kind):
            raise ValidationError(_("Choose what to activate or deactivate."))


class SwitchTasks(BulkAction):
    """The targets are periodic tasks; a value says whether one is switched on."""

    key = "activar-tareas-periodicas"
    label = _l("Activate or deactivate periodic tasks")
    text = _l("Switches the tasks of a zone, or of all zones, on or off: of zone billing and of own billing alike.")
    icon = "player-pause"
    permission = Permission.PERIODIC_TASKS_TOGGLE
    form = SwitchForm

    def fill(self, form: Any, scope: Scope) -> None:
        """The zones."""
        zones.fill(form, scope)

    def values(self, form: Any) -> Values:
        """The zone, and the kinds that are to change."""
        wanted = {kind.value: form[kind.value].data == "on" for kind in Kind if form[kind.value].data != "keep"}
        return {"zone": zones.chosen(form), "kinds": wanted}

    def about(self, values: Values) -> str:
        """The kinds with what is to be done, and where."""
        words = [f"{KINDS[kind]}: {_VERBS[on]}" for kind, on in values["kinds"].items()]
        return " · ".join([*words, zones.about(values)])

    def targets(self, values: Values, scope: Scope) -> "sa.Select[int]":
        """The tasks of the chosen kinds that do not stand so yet."""
        differs = [(PeriodicTask.kind == kind) & (PeriodicTask.enabled != on) for kind, on in values["kinds"].items()]
        found: sa.Select[int] = _owned(sa.select(PeriodicTask.id)).where(sa.or_(sa.false(), *differs))
        return found.where(*zones.within(_ZONE_ID, values, scope))

    def reach(self, values: Values, scope: Scope) -> Reach:
        """The clients of a zone's tasks are those that it bills; each own task has its one client."""
        found = self.targets(values, scope).add_columns(
            _ZONE_ID.label("zone_id"), Zone.id.label("whole_zone"), Client.id.label("client_id")
        ).subquery()  # fmt: skip
        c = found.c
        query = sa.select(sa.func.count(), sa.func.count(c.zone_id.distinct()), sa.func.count(c.client_id.distinct()))
        changes, in_zones, own = session().execute(query).one()
        billed = sa.select(sa.func.count()).where(
            Client.zone_id.in_(sa.select(c.whole_zone)), Client.own_billing.is_(False), Client.cancelled_at.is_(None)
        )
        return Reach(changes, in_zones, own + (session().scalar(billed) or 0))

    def look(self, ids: Collection[int], lock: bool = False) -> list[Found]:
        """The tasks, without those that were archived."""
        query = (
            _owned(sa.select(PeriodicTask, _ZONE_ID, Client.id))
            .join(BillingSchedule, BillingSchedule.id == PeriodicTask.schedule_id)
            .options(contains_eager(PeriodicTask.schedule))
            .where(PeriodicTask.id.in_(ids))
            .order_by(PeriodicTask.id)
        )
        if lock:
            query = query.with_for_update(of=PeriodicTask)
        rows = session().execute(query.execution_options(populate_existing=True))
        return [
            Found(task.id, zone_id, client_id, {"enabled": task.enabled}, task, task.kind)
            for task, zone_id, client_id in rows
        ]

    def wanted(self, values: Values, found: Found) -> Values:
        """As was chosen for the task's kind."""
        return {"enabled": values["kinds"].get(found.subject, found.value["enabled"])}

    def write(self, found: Found, value: Values) -> None:
        """Switch the task: one switched on takes its next future occurrence."""
        schedules.switch_task(found.thing, value["enabled"])

    def trail(self, found: Found) -> Trail:
        """Every switch of the task."""
        return Trail("task.switch", f"task:{found.target}", "enabled")

    def words(self, value: Values) -> str:
        """Active or not."""
        return str(_("Switched on") if value["enabled"] else _("Inactive"))

    def subject(self, name: str) -> str:
        """The kind of the task."""
        return str(KINDS[name])


def _owned(query: Any) -> Any:
    """``query`` over PeriodicTask, with its zone or the client with own billing; archived tasks belong to nobody."""
    own = sa.and_(Client.schedule_id == PeriodicTask.schedule_id, Client.own_billing, Client.cancelled_at.is_(None))
    return (
        query.select_from(PeriodicTask)
        .outerjoin(Zone, Zone.schedule_id == PeriodicTask.schedule_id)
        .outerjoin(Client, own)
        .where(PeriodicTask.archived_at.is_(None), sa.or_(Zone.id.is_not(None), Client.id.is_not(None)))
    )
