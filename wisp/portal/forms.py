"""The panel of the client pages."""

from flask_babel import lazy_gettext as _l
from wtforms import IntegerField, StringField, TextAreaField
from wtforms.validators import InputRequired

from wisp.settings.forms import Panel, rule

_NUMBER = {"inputmode": "numeric", "autocomplete": "off"}


class TextsForm(Panel):
    """What the client pages say, for how long “Understood” holds, where clients reach them."""

    notice_text_es = TextAreaField(_l("Text of the notice, in Spanish"), [rule("notice_text_es")])
    cut_text_es = TextAreaField(_l("Text of the cut page, in Spanish"), [rule("cut_text_es")])
    notice_text_en = TextAreaField(_l("Text of the notice, in English"), [rule("notice_text_en")])
    cut_text_en = TextAreaField(_l("Text of the cut page, in English"), [rule("cut_text_en")])
    notice_hours = IntegerField(
        _l("Hours for which “Understood” takes the notice off"), [InputRequired(), rule("notice_hours")],
        render_kw=_NUMBER,
    )  # fmt: skip
    notice_days = IntegerField(
        _l("Days for which it comes back after that"), [InputRequired(), rule("notice_days")], render_kw=_NUMBER
    )
    portal_url = StringField(
        _l("Address at which clients reach the page"), [rule("portal_url")], render_kw={"spellcheck": "false"}
    )
