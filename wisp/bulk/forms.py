"""What every confirmation sends beside the action's own fields."""

from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField
from wtforms.validators import Length, Optional, Regexp


class ConfirmForm(FlaskForm):
    """``token`` is made with the confirmation: sent twice it is one run. ``confirm`` is the button's value."""

    token = StringField(validators=[Optional(), Length(min=16, max=64), Regexp(r"[0-9a-f-]+\Z")])
    confirm = HiddenField()
