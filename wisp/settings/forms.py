"""The panels of the settings page. The rules are those of the domain, so that page and command line agree."""

from collections.abc import Mapping
from typing import Any

from babel import dates
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import (
    BooleanField,
    Field,
    IntegerField,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import InputRequired, Optional, ValidationError
from wtforms.widgets import CheckboxInput, ListWidget, TextInput

from wisp.core.errors import Refused
from wisp.settings import domain, texts
from wisp.web import formats
from wisp.web.forms import Checked, MoneyField

LANGUAGE_NAMES = {"es": "Español", "en": "English"}
AREAS = ("America", "Atlantic", "Europe", "Pacific", "Africa", "Asia", "Australia", "Indian", "Antarctica", "Arctic")


def _refuse(error: Exception) -> Refused:
    if isinstance(error, domain.Invalid):
        return Refused(error.code, **error.values)
    raise error


def rule(name: str) -> Checked:
    """The validator of the company's value ``name``."""
    return Checked(domain.CHECKS[name], _refuse)


def _choices(labels: Mapping[str, Any]) -> list[SelectChoice]:
    return [SelectChoice(value, label) for value, label in labels.items()]


def _zones() -> list[SelectChoice]:
    """Time zones named Area/City, the American ones first, then UTC."""
    named = [name for name in domain.timezones() if name.split("/")[0] in AREAS]
    ordered = sorted(named, key=lambda name: (AREAS.index(name.split("/")[0]), name))
    return [SelectChoice(name, name.replace("_", " ")) for name in [*ordered, "UTC"]]


def _number(label: Any, name: str, **kwargs: Any) -> IntegerField:
    limits = {"inputmode": "numeric", "autocomplete": "off"}
    return IntegerField(label, [InputRequired(), rule(name)], render_kw=limits, **kwargs)


class Panel(FlaskForm):
    """One panel: its fields are named as the company's columns."""

    def values(self) -> dict[str, Any]:
        """What to save."""
        return {name: field.data for name, field in self._fields.items() if name in domain.CHECKS}


class CompanyForm(Panel):
    """Who the company is, where and in which language."""

    name = StringField(_l("Name"), [InputRequired(), rule("name")])
    legal_name = StringField(_l("Legal name"), [rule("legal_name")])
    tax_id = StringField(texts.TAX_ID, [rule("tax_id")])
    address = TextAreaField(_l("Address"), [rule("address")])
    phone = StringField(_l("Telephone"), [rule("phone")], render_kw={"type": "tel"})
    email = StringField(_l("E-mail"), [rule("email")], render_kw={"type": "email"})
    timezone = SelectField(_l("Time zone"), [rule("timezone")], choices=_zones)
    currency = SelectField(
        _l("Currency"), [rule("currency")], choices=[SelectChoice(code, code) for code in domain.CURRENCIES]
    )
    language = SelectField(_l("Language"), [rule("language")], choices=_choices(LANGUAGE_NAMES))

    def __init__(self, *args: Any, currency_is_fixed: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if currency_is_fixed:  # a browser sends nothing for it, and what it shows stays
            self.currency.render_kw = {"disabled": True}
        present = self.timezone.data
        listed = {choice.value for choice in _zones()}
        if present and present in domain.timezones() and present not in listed:
            self.timezone.choices = [SelectChoice(present, present), *_zones()]


class LogoForm(FlaskForm):
    """The company's picture."""

    picture = FileField(
        _l("PNG or JPEG file"), [FileRequired(_l("Choose a file."))],
        render_kw={"accept": "image/png,image/jpeg", "required": False},
    )  # fmt: skip


class TaxField(Field):
    """A percentage; its data are basis points."""

    widget = TextInput()
    data: int | None

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return domain.format_tax(self.data or 0)

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read the typed percentage."""
        if valuelist:
            try:
                self.data = domain.parse_tax(valuelist[0])
            except domain.Invalid as invalid:
                self.data = None
                raise ValueError(str(_refuse(invalid))) from None


class BillingForm(Panel):
    """How invoices are made, and from which debt on something happens."""

    tax_bp = TaxField(_l("Tax"), [rule("tax_bp")], render_kw={"inputmode": "decimal", "autocomplete": "off"})
    tax_name = StringField(_l("Name of the tax"), [rule("tax_name")])
    tax_mode = SelectField(_l("Prices"), [rule("tax_mode")], choices=_choices(texts.TAX_MODES))
    document_title = SelectField(_l("Title of the document"), [rule("document_title")], choices=_choices(texts.TITLES))
    min_days_to_pay = _number(_l("Minimum days to pay"), "min_days_to_pay")
    late_days = _number(_l("Days after which a missed task no longer runs by itself"), "late_days")
    promise_days = _number(_l("Longest payment promise"), "promise_days")
    promises_a_year = _number(_l("Payment promises for one client in a year, at most"), "promises_a_year")
    prorate = BooleanField(_l("Prorate a shortened first month"))
    bill_first_days = BooleanField(_l("Charge the first days of new clients"))
    invoice_suspended = BooleanField(_l("Invoice suspended clients too"))
    notice_minimum = MoneyField(
        _l("Debt from which the payment notice is shown"), [InputRequired(), rule("notice_minimum")]
    )
    tolerance = MoneyField(_l("Overdue debt that is tolerated without a cut"), [InputRequired(), rule("tolerance")])
    how_to_pay = TextAreaField(_l("How to pay"), [rule("how_to_pay")])


class MailForm(Panel):
    """The mail server. The stored password is never sent to the browser; an empty field keeps it."""

    mail_server = StringField(
        _l("Server"), [rule("mail_server")], render_kw={"autocomplete": "off", "spellcheck": "false"}
    )
    mail_port = _number(_l("Port"), "mail_port")
    mail_security = SelectField(_l("Security"), [rule("mail_security")], choices=_choices(texts.SECURITIES))
    mail_username = StringField(
        _l("User"), [rule("mail_username")], render_kw={"autocomplete": "off", "spellcheck": "false"}
    )
    mail_password = PasswordField(
        _l("Password"), [Optional(), rule("mail_password")], render_kw={"autocomplete": "new-password"}
    )
    forget_password = BooleanField(_l("Remove the stored password"))
    mail_sender = StringField(_l("Sender"), [rule("mail_sender")], render_kw={"type": "email"})
    hold_mail_days = _number(_l("Days after which an unsent e-mail waits for a person"), "hold_mail_days")

    def values(self) -> dict[str, Any]:
        """What to save; the password only where one was typed or it is to be removed."""
        found = super().values()
        del found["mail_password"]  # without a submitted field it is what is stored
        typed = self.mail_password.raw_data
        if self.forget_password.data:
            found["mail_password"] = ""
        elif typed and typed[0]:
            found["mail_password"] = typed[0]
        return found


class TrialForm(FlaskForm):
    """Where the test e-mail goes."""

    address = StringField(
        _l("Address"),
        [InputRequired(), Checked(domain.check_address, _refuse)],
        render_kw={"type": "email", "autocomplete": "email"},
    )


class AlertsForm(Panel):
    """Who is told when something goes wrong, and when."""

    alert_addresses = TextAreaField(_l("Addresses for alerts"), [rule("alert_addresses")])
    outage_minutes = _number(_l("Minutes that a router must be off before an alert"), "outage_minutes")
    probe_seconds = _number(_l("Seconds between two looks at a router"), "probe_seconds")


class DaysField(SelectMultipleField):
    """Days of the week as check boxes; its data are their ISO digits ("1234")."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()

    def process_data(self, value: Any) -> None:
        """Every day is ticked where there is no limit."""
        self.data = list(value or "1234567")

    def process_formdata(self, valuelist: list[str]) -> None:
        """The ticked days."""
        self.data = sorted(set(valuelist))


def _weekdays() -> list[SelectChoice]:
    names = dates.get_day_names("wide", "stand-alone", locale=formats.locale())
    return [SelectChoice(str(day + 1), names[day].capitalize()) for day in range(7)]


class BrakesForm(Panel):
    """When clients may be cut."""

    cut_from = StringField(_l("Cut from"), [rule("cut_from")], render_kw={"type": "time"})
    cut_until = StringField(_l("Cut until"), [rule("cut_until")], render_kw={"type": "time"})
    cut_days = DaysField(_l("Days"), choices=_weekdays)

    def validate_cut_days(self, field: Field) -> None:
        """At least one day: to cut nobody ever, the tasks are switched off."""
        if not field.data:
            raise ValidationError(_("Tick at least one day. To cut nobody at all, deactivate the tasks."))

    def values(self) -> dict[str, Any]:
        """What to save."""
        return super().values() | {"cut_days": "".join(self.cut_days.data or [])}


class ListsForm(Panel):
    """The names of our address lists on the routers, and what stays open to suspended clients."""

    list_overdue = StringField(_l("List of suspended clients"), [InputRequired(), rule("list_overdue")])
    list_notice = StringField(_l("List of payment notices"), [InputRequired(), rule("list_notice")])
    list_allowed = StringField(_l("List of what stays open"), [InputRequired(), rule("list_allowed")])
    list_dns = StringField(_l("List of name servers"), [InputRequired(), rule("list_dns")])
    list_seen = StringField(_l("List of those who saw the notice"), [InputRequired(), rule("list_seen")])
    payment_hosts = TextAreaField(_l("Sites that stay open to suspended clients"), [rule("payment_hosts")])
    resolvers = TextAreaField(_l("Name servers that suspended clients may ask"), [rule("resolvers")])
