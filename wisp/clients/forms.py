"""Forms of clients, plans and the CSV upload. The rules are those of the domain, so that page and file agree."""

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import BooleanField, PasswordField, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from wisp.clients import domain, texts
from wisp.core.errors import Refused
from wisp.routers.forms import ScheduleForm, gap_field, typed
from wisp.web.forms import Checked, MoneyField

_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
LANGUAGE_NAMES = (("es", "Español"), ("en", "English"))


def _refuse(error: Exception) -> Refused:
    return Refused(f"value.{error}")


def rule(name: str) -> Checked:
    """The validator of the client's value ``name``."""
    return Checked(domain.READERS[name], _refuse)


class DataForm(FlaskForm):
    """Who the client is, in which zone and on which plan (tab "Datos")."""

    name = StringField(texts.FIELDS["name"], [InputRequired(), rule("name")])
    email = StringField(texts.FIELDS["email"], [rule("email")], render_kw={"inputmode": "email"})
    phone = StringField(texts.FIELDS["phone"], [rule("phone")], render_kw={"type": "tel"})
    phone2 = StringField(texts.FIELDS["phone2"], [rule("phone2")], render_kw={"type": "tel"})
    language = SelectField(texts.FIELDS["language"], choices=LANGUAGE_NAMES)
    zone = SelectField(texts.FIELDS["zone"], coerce=int)
    gap = gap_field()
    plan = SelectField(texts.FIELDS["plan"], coerce=int)
    installed_on = StringField(
        texts.FIELDS["installed_on"], [Optional(), rule("installed_on")], render_kw={"type": "date"}
    )
    legal_name = StringField(texts.FIELDS["legal_name"], [rule("legal_name")])
    tax_id = StringField(texts.FIELDS["tax_id"], [rule("tax_id")], render_kw=_PLAIN)
    fiscal_address = StringField(texts.FIELDS["fiscal_address"], [rule("fiscal_address")])
    service_address = StringField(texts.FIELDS["service_address"], [rule("service_address")])
    coordinates = StringField(texts.FIELDS["coordinates"], [rule("coordinates")], render_kw=_PLAIN)
    note = TextAreaField(texts.FIELDS["note"], [rule("note")])

    def values(self) -> dict[str, Any]:
        """The plain values, without zone and plan. An emptied field is empty, not unchanged."""
        passed_over = ("zone", "gap", "plan", "code", "csrf_token", "password")
        return {name: self._value_of(name) for name in self._fields if name not in passed_over}

    def _value_of(self, name: str) -> Any:
        data = self[name].data
        return None if name in _DATES and not data else data


_DATES = ("installed_on", "billed_through", "no_cut_until")


class NetworksField(StringField):
    """Addresses and networks with blanks between; its data are a tuple once they are read."""

    data: Any

    def process_data(self, value: Any) -> None:
        """Begin with the text of what is stored."""
        self.data = value if isinstance(value, str) else " ".join(value or ())

    def _value(self) -> str:
        return self.data if isinstance(self.data, str) else " ".join(self.data or ())


class ConnectionForm(FlaskForm):
    """How the client is attached (tab "Conexión"). The stored password is never sent to the browser."""

    connection = SelectField(
        texts.FIELDS["connection"], choices=list(texts.CONNECTIONS.items()), render_kw={"data-shows": ""}
    )
    address = StringField(texts.FIELDS["address"], [rule("address")], render_kw=_PLAIN)
    address6 = StringField(texts.FIELDS["address6"], [rule("address6")], render_kw=_PLAIN)
    networks = NetworksField(texts.FIELDS["networks"], [rule("networks")], render_kw=_PLAIN)
    mac = StringField(texts.FIELDS["mac"], [rule("mac")], render_kw=_PLAIN)
    username = StringField(texts.FIELDS["username"], [rule("username")], render_kw=_PLAIN)
    password = PasswordField(
        texts.FIELDS["password"], [Optional(), rule("password")], render_kw={"autocomplete": "new-password"}
    )

    def connection_values(self) -> dict[str, Any]:
        """The values; the password only where one was typed."""
        names = ("connection", "address", "address6", "networks", "mac", "username")
        values = {name: self[name].data for name in names}
        password = typed(self.password)
        return values | ({"password": password} if password else {})


class NewClientForm(DataForm, ConnectionForm):
    """Everything of a new client on one page."""

    code = StringField(texts.FIELDS["code"], [InputRequired(), rule("code")], render_kw=_PLAIN)


class ExclusionsForm(FlaskForm):
    """What the tasks leave out for this client (tab "Facturación")."""

    free = BooleanField(_l("Free service: never invoiced"))
    no_notice = BooleanField(_l("Excluded from the payment notice"))
    no_cut = BooleanField(_l("Excluded from the cut"))
    no_cut_until = StringField(
        _l("Excluded from the cut until"), [Optional(), rule("billed_through")], render_kw={"type": "date"}
    )
    billed_through = StringField(
        texts.FIELDS["billed_through"], [Optional(), rule("billed_through")], render_kw={"type": "date"}
    )

    def values(self) -> dict[str, Any]:
        """The values as the columns hold them."""
        names = ("free", "no_notice", "no_cut", "no_cut_until", "billed_through")
        return {name: (self[name].data or None) if name in _DATES else bool(self[name].data) for name in names}


class BillingForm(ScheduleForm):
    """Whether the client is billed with its zone or has a schedule of its own."""

    billing = RadioField(
        _l("Billing"), choices=[("zone", _l("Billed with its zone")), ("own", _l("Own billing"))], default="zone"
    )


class SpeedField(StringField):
    """A speed ("20M"); its data are bits per second."""

    data: Any

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return domain.write_speed(self.data or 0)

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read the typed speed."""
        self.data = 0
        try:
            self.data = domain.read_speed(valuelist[0] if valuelist else "")
        except ValueError as error:
            raise ValueError(str(_refuse(error))) from None


class PlanForm(FlaskForm):
    """A plan."""

    name = StringField(_l("Name"), [InputRequired()])
    price = MoneyField(_l("Monthly price"), [InputRequired()])
    down = SpeedField(_l("Download"), render_kw=_PLAIN)
    up = SpeedField(_l("Upload"), render_kw=_PLAIN)
    router_profile = StringField(_l("Profile on the routers"), [Length(max=64)], render_kw=_PLAIN)
    active = BooleanField(_l("Offered to new clients"), default=True)


ACCEPTED = ".csv,.txt,.tsv,.xlsx,.xlsm,.xls,.ods,text/csv"


class UploadForm(FlaskForm):
    """A table of clients."""

    file = FileField(_l("File"), [FileRequired(_l("Choose a file."))], render_kw={"accept": ACCEPTED})
