"""Forms of routers and of billing schedules (a zone's, or a client's own)."""

import re
from typing import Any
from zoneinfo import available_timezones

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, IntegerField, PasswordField, RadioField, SelectField, StringField
from wtforms.validators import AnyOf, InputRequired, Length, NumberRange, Optional, ValidationError

from wisp.routers.service import RouterValues
from wisp.schedules.domain import BillingType, Kind, Timetable
from wisp.schedules.models import BillingSchedule
from wisp.schedules.service import timetable_of

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::00)?")
_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
AREAS = ("America", "Atlantic", "Europe", "Pacific", "Africa", "Asia", "Australia", "Indian")


def typed(field: PasswordField) -> str:
    """What was typed into a password field: never what the object behind the form holds."""
    return str(field.raw_data[0]) if field.raw_data else ""


class RouterForm(FlaskForm):
    """Where a router is and how to log in. The stored password is never sent to the browser."""

    router_id = HiddenField()
    name = StringField(_l("Name"), [InputRequired(), Length(max=80)])
    host = StringField(_l("IP address or host name"), [InputRequired(), Length(max=253)], render_kw=_PLAIN)
    port = IntegerField(
        _l("API port"), [InputRequired(), NumberRange(1, 65535)], default=8728, render_kw={"inputmode": "numeric"}
    )
    tls = BooleanField(_l("Secured connection (API-SSL)"))
    fingerprint = StringField(_l("Fingerprint of the certificate (SHA-256)"), [Length(max=128)], render_kw=_PLAIN)
    username = StringField(_l("API user"), [InputRequired(), Length(max=80)], render_kw=_PLAIN)
    password = PasswordField(_l("Password"), [Optional(), Length(max=200)], render_kw={"autocomplete": "new-password"})

    provision = BooleanField(_l("Write each client to the router"), default=True)
    pppoe_cut = SelectField(
        _l("Cut of PPPoE clients without a fixed address"),
        choices=[
            ("profile", _l("Change the profile of their user")),
            ("disable", _l("Switch their user off")),
        ],
        default="profile",
    )
    ppp_base = StringField(
        _l("PPP profile that ours are copies of"), [Length(max=64)], default="default", render_kw=_PLAIN
    )
    hotspot_base = StringField(
        _l("Hotspot profile that ours are copies of"), [Length(max=64)], default="default", render_kw=_PLAIN
    )

    def values(self) -> RouterValues:
        """What was entered."""
        return RouterValues(
            name=self.name.data or "",
            host=self.host.data or "",
            port=self.port.data or 0,
            username=self.username.data or "",
            password=typed(self.password) or None,
            tls=bool(self.tls.data),
            fingerprint=self.fingerprint.data or "",
            provision=bool(self.provision.data),
            pppoe_cut=self.pppoe_cut.data or "profile",
            ppp_base=self.ppp_base.data or "",
            hotspot_base=self.hotspot_base.data or "",
        )


class TimeField(StringField):
    """An hour of the day ("08:30"); its data are minutes from midnight."""

    data: Any

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return f"{self.data // 60:02d}:{self.data % 60:02d}" if self.data is not None else ""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read the typed hour."""
        self.data = None
        text = valuelist[0].strip() if valuelist else ""
        match = _TIME.fullmatch(text)
        if match:
            self.data = int(match[1]) * 60 + int(match[2])
        elif text:
            raise ValidationError(_("This is not an hour. Write it like 08:30."))


def _day(label: Any, **kwargs: Any) -> IntegerField:
    limits = {"type": "number", "min": 1, "max": 31, "inputmode": "numeric", "autocomplete": "off"}
    return IntegerField(label, [InputRequired(), NumberRange(1, 31)], render_kw=limits, **kwargs)


def _hour(default: Any) -> TimeField:
    return TimeField(_l("Hour"), [InputRequired()], default=default, render_kw={"type": "time"})


def gap_field() -> RadioField:
    """Whether days without an invoice are charged."""
    choices = [("bill", _l("Charge them")), ("waive", _l("Do not charge them"))]
    return RadioField(_l("Days without an invoice"), choices=choices, validators=[Optional()])


def _this_month() -> RadioField:
    choices = [("run", _l("Apply this month on saving")), ("skip", _l("Begin next month"))]
    return RadioField(_l("This month"), choices=choices, validators=[Optional()])


def _timezones() -> list[tuple[str, Any]]:
    names = [name for name in available_timezones() if name.split("/")[0] in AREAS]
    names.sort(key=lambda name: (AREAS.index(name.split("/")[0]), name))
    return [("", _l("As the company")), *((name, name.replace("_", " ")) for name in names), ("UTC", "UTC")]


class ScheduleForm(FlaskForm):
    """Days and hours of the three periodic tasks, due day, type and time zone."""

    billing_type = SelectField(_l("Type"), choices=[("prepaid", _l("Prepaid")), ("postpaid", _l("Postpaid"))])
    due_day = _day(_l("Payment day"), default=20)
    timezone = SelectField(_l("Time zone"), choices=_timezones, default="")
    invoices_day = _day(_l("Day"), default=15)
    invoices_time = _hour(12 * 60)
    notice_day = _day(_l("Day"), default=18)
    notice_time = _hour(9 * 60)
    cut_day = _day(_l("Day"), default=22)
    cut_time = _hour(8 * 60)
    this_month = HiddenField()  # one choice for all, as scripts send it
    this_month_invoices = _this_month()
    this_month_notice = _this_month()
    this_month_cut = _this_month()
    gap = gap_field()

    def moments(self) -> dict[Kind, tuple[int, int]]:
        """Kind -> (day, minute of the day)."""
        return {kind: (self[f"{kind.value}_day"].data, self[f"{kind.value}_time"].data) for kind in Kind}

    def timetable(self) -> Timetable | None:
        """The days of the form; None where there is not enough to show dates."""
        moments = self.moments()
        days = [self.due_day.data, *(day for day, _minute in moments.values())]
        if not all(isinstance(day, int) and 1 <= day <= 31 for day in days):
            return None
        if self.billing_type.data not in set(BillingType) or any(minute is None for _day, minute in moments.values()):
            return None
        return timetable_of(self.billing_type.data, self.due_day.data or 0, moments)

    def choices(self) -> dict[Kind, str]:
        """What was chosen for the kinds whose day has gone by."""
        chosen = {kind: self[f"this_month_{kind.value}"].data or self.this_month.data for kind in Kind}
        return {kind: value for kind, value in chosen.items() if value}

    def schedule_values(self) -> dict[str, Any]:
        """The arguments of the use cases."""
        return {
            "billing_type": self.billing_type.data,
            "due_day": self.due_day.data,
            "timezone": self.timezone.data or "",
            "moments": self.moments(),
        }

    @staticmethod
    def data_of(schedule: BillingSchedule) -> dict[str, Any]:
        """The form's data for a schedule as it stands."""
        data: dict[str, Any] = {
            "billing_type": schedule.billing_type,
            "due_day": schedule.due_day,
            "timezone": schedule.timezone,
        }
        for task in schedule.tasks:
            data |= {f"{task.kind}_day": task.day, f"{task.kind}_time": task.minute}
        return data


class ZoneForm(ScheduleForm):
    """A billing zone: its name and its schedule."""

    name = StringField(_l("Name of the zone"), [InputRequired(), Length(max=80)])


class SwitchForm(FlaskForm):
    """One task of a schedule, switched on or off."""

    kind = StringField(validators=[AnyOf([kind.value for kind in Kind])])
    enabled = StringField(validators=[AnyOf(["on", "off"])])

    def wanted(self) -> dict[Kind, bool]:
        """What schedules.service.switch takes."""
        return {Kind(self.kind.data or ""): self.enabled.data == "on"}
