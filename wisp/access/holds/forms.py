"""Forms of suspending, pausing and giving back."""

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, StringField
from wtforms.validators import InputRequired, Length, Optional

from wisp.access.holds.service import WHY

_LENGTH = Length(max=WHY, message=_l("At most %(max)d characters."))


class SuspendForm(FlaskForm):
    """Why the service is taken."""

    why = StringField(_l("Reason"), [InputRequired(_l("Say why.")), _LENGTH], render_kw={"autocomplete": "off"})


class PauseForm(FlaskForm):
    """Until when the service rests."""

    until = DateField(_l("Until (included)"), [InputRequired(_l("Choose the date."))])
    why = StringField(_l("Reason"), [_LENGTH], render_kw={"autocomplete": "off"})


class ReactivateForm(FlaskForm):
    """Give the service back, perhaps with some days in which no cut takes it again."""

    no_cut_until = DateField(_l("Do not cut until"), [Optional()])
    why = StringField(_l("Reason"), [_LENGTH], render_kw={"autocomplete": "off"})
