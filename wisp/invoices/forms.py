"""Forms of invoices."""

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, TextAreaField
from wtforms.validators import InputRequired, Length


class VoidForm(FlaskForm):
    """Void an invoice: why, and whether the month may be invoiced again."""

    reason = TextAreaField(
        _l("Reason"), [InputRequired(_l("Say why, in at most 200 characters.")), Length(max=200)], render_kw={"rows": 2}
    )
    again = BooleanField(_l("Invoice this month again?"))
