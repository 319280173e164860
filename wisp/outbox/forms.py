"""Forms of the outbox."""

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import Length


class ResendForm(FlaskForm):
    """Where an e-mail goes when it is sent again; empty: where it went."""

    recipient = StringField(_l("Recipient"), [Length(max=254)])
