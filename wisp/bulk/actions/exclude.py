"""Exclude clients from the cut until a date."""

from datetime import date
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import DateField, ValidationError
from wtforms.validators import InputRequired

from wisp.bulk.action import Found, Values
from wisp.bulk.actions import zones
from wisp.clients import service
from wisp.clients.models import Client
from wisp.core.permissions import Permission
from wisp.settings import service as settings
from wisp.web.formats import format_day


class ExcludeForm(zones.ZoneChoice):
    """Until when, and where."""

    until = DateField(_l("Excluded from the cut until"), [InputRequired()], description=_l("That day included."))

    def validate_zone(self, field: Any) -> None:
        """A zone, or all of them, must be chosen."""
        InputRequired(_("Choose a zone, or all of them."))(self, field)

    def validate_until(self, field: Any) -> None:
        """Not a day gone by."""
        if field.data and field.data < settings.today():
            raise ValidationError(_("This day has gone by."))


class ExcludeFromCut(zones.ClientAction):
    """A value is the day until which a client is excluded. Who is excluded for longer, or for good, stays so."""

    key = "excluir-del-corte"
    name = "no_cut_until"
    label = _l("Exclude from the cut until a date")
    text = _l("Nobody of a zone, or of all zones, is cut until that day. Whoever is excluded for longer stays so.")
    icon = "calendar-x"
    permission = Permission.CLIENTS_EDIT
    form = ExcludeForm

    def values(self, form: Any) -> Values:
        """The zone and the day."""
        return {"zone": zones.chosen(form), "until": form.until.data.isoformat()}

    def about(self, values: Values) -> str:
        """Until when, and where."""
        return f"{self.words({'no_cut_until': values['until']})} · {zones.about(values)}"

    def narrow(self, values: Values) -> list[Any]:
        """Those who are not excluded for so long."""
        until = date.fromisoformat(values["until"])
        return [Client.no_cut.is_(False), sa.or_(Client.no_cut_until.is_(None), Client.no_cut_until < until)]

    def value(self, client: Client) -> Values:
        """The client's day."""
        return {"no_cut_until": client.no_cut_until.isoformat() if client.no_cut_until else None}

    def wanted(self, values: Values, found: Found) -> Values:
        """The chosen day."""
        return {"no_cut_until": values["until"]}

    def write(self, found: Found, value: Values) -> None:
        """Exclude the client until then, or no more."""
        text = value["no_cut_until"]
        service.edit(found.thing, no_cut_until=date.fromisoformat(text) if text else None)

    def words(self, value: Values) -> str:
        """Until when."""
        if not value["no_cut_until"]:
            return str(_("Not excluded"))
        return str(_("Excluded until %(day)s", day=format_day(date.fromisoformat(value["no_cut_until"]))))
