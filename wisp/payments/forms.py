"""Forms of payments and promises."""

import secrets
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, HiddenField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from wisp.payments.service import METHODS
from wisp.payments.texts import METHODS as METHOD_TEXTS
from wisp.web.forms import MoneyField


class PaymentForm(FlaskForm):
    """A payment of one client. ``token`` is made anew for each form, so that sending it twice registers it once.
    ``sure``: the answer to what was asked (doubts.Doubts.answer)."""

    token = HiddenField(validators=[Length(max=64)])
    sure = HiddenField(validators=[Length(max=64)])
    amount = MoneyField(_l("Amount"), [InputRequired(_l("Write the amount."))])
    method = SelectField(_l("Method"))
    paid_on = DateField(_l("Date"), [InputRequired(_l("Choose the date."))])
    reference = StringField(_l("Reference"), [Length(max=120)], render_kw={"autocomplete": "off"})
    invoice = SelectField(_l("Apply it to"), coerce=int)
    note = TextAreaField(_l("Note"), [Optional(), Length(max=1000)])

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.method.choices = [(method, METHOD_TEXTS[method]) for method in METHODS]
        if not self.token.data:
            self.token.data = secrets.token_urlsafe(24)


class VoidForm(FlaskForm):
    """Void a payment: why."""

    reason = TextAreaField(_l("Reason"), [InputRequired(_l("Say why, in at most 200 characters.")), Length(max=200)])


class PromiseForm(FlaskForm):
    """A promise to pay."""

    until = DateField(_l("Until (included)"), [InputRequired(_l("Choose the date."))])
