"""The forms of "Aplicar ahora": what to simulate, and what to order."""

from datetime import date

from flask import request
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, IntegerField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional, Regexp, ValidationError

from wisp.core.sql import LARGEST_ID
from wisp.schedules import domain as calendar
from wisp.web.requests import row_numbers

ORIGINS = ("list", "page")


class SimulateForm(FlaskForm):
    """Month and options of a simulation; ``plan`` is the one before, whose held-out clients are kept."""

    month = StringField(validators=[Optional()])
    include_not_due = BooleanField()
    own = BooleanField()
    plan = IntegerField(validators=[Optional(), NumberRange(1, LARGEST_ID)])
    origin = HiddenField(default="page")

    def validate_month(self, field: StringField) -> None:
        """A month is written 2026-11."""
        self.chosen_month()

    def chosen_month(self) -> date | None:
        """The month, None for the present one."""
        if not self.month.data:
            return None
        try:
            return calendar.parse_month(self.month.data)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class ApplyForm(FlaskForm):
    """The simulation to be applied. ``token`` is made with the form: sent twice it is one run.

    ``confirm`` is the button's value: Enter in the table must not apply anything.
    """

    plan = IntegerField(validators=[InputRequired(), NumberRange(1, LARGEST_ID)])
    token = StringField(validators=[InputRequired(), Length(min=16, max=64), Regexp(r"[0-9a-f-]+\Z")])
    origin = HiddenField(default="page")
    confirm = HiddenField()

    @property
    def shown(self) -> list[int]:
        """The clients whose tick boxes were on the page."""
        return row_numbers(request.form.getlist("shown"))

    @property
    def held(self) -> list[int]:
        """Those of them that are to be held out."""
        return row_numbers(request.form.getlist("hold"))
