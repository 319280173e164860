"""Give the clients of one plan another one."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import SelectField, ValidationError
from wtforms.validators import InputRequired

from wisp.bulk.action import Found, Values
from wisp.bulk.actions import zones
from wisp.clients import plans, service
from wisp.clients.models import Client, Plan
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.core.permissions import Permission
from wisp.core.scope import Scope


class PlanForm(zones.ZoneChoice):
    """From which plan to which, and where."""

    present = SelectField(_l("Present plan"), [InputRequired()])
    new = SelectField(_l("New plan"), [InputRequired()])

    def validate_zone(self, field: Any) -> None:
        """A zone, or all of them, must be chosen."""
        InputRequired(_("Choose a zone, or all of them."))(self, field)

    def validate_new(self, field: Any) -> None:
        """Another plan."""
        if field.data and field.data == self.present.data:
            raise ValidationError(_("Choose another plan."))


class ChangePlan(zones.ClientAction):
    """A value is the id of the client's plan."""

    key = "cambiar-plan"
    name = "plan"
    label = _l("Change the plan")
    text = _l("Gives all clients of one plan another one. Their next invoices have its price.")
    icon = "package"
    permission = Permission.CLIENTS_EDIT
    form = PlanForm

    def fill(self, form: Any, scope: Scope) -> None:
        """The zones and the plans; only a plan that is offered can be the new one."""
        super().fill(form, scope)
        known = plans.plans()
        form.present.choices = [("", _("Choose…")), *((str(plan.id), plan.name) for plan in known)]
        form.new.choices = [("", _("Choose…")), *((str(plan.id), plan.name) for plan in known if plan.active)]

    def values(self, form: Any) -> Values:
        """The zone and both plans."""
        return {"zone": zones.chosen(form), "present": int(form.present.data), "new": int(form.new.data)}

    def about(self, values: Values) -> str:
        """From which plan to which, and where."""
        present, new = (self.words({"plan": values[name]}) for name in ("present", "new"))
        return f"{present} → {new} · {zones.about(values)}"

    def narrow(self, values: Values) -> list[Any]:
        """The clients of the present plan."""
        return [Client.plan_id == values["present"]]

    def value(self, client: Client) -> Values:
        """The client's plan."""
        return {"plan": client.plan_id}

    def wanted(self, values: Values, found: Found) -> Values:
        """The new plan."""
        return {"plan": values["new"]}

    def write(self, found: Found, value: Values) -> None:
        """Give the client that plan."""
        plan = plans.get(value["plan"])
        if plan is None:
            raise Refused("plans.unknown", name=value["plan"])
        service.edit(found.thing, plan=plan)

    def words(self, value: Values) -> str:
        """The plan's name."""
        plan = session().get(Plan, value["plan"])
        return plan.name if plan else "–"
