"""The panel of the client pages."""

from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import IntegerField, TextAreaField
from wtforms.validators import InputRequired

from wisp.settings.forms import Panel, rule

_NUMBER = {"inputmode": "numeric", "autocomplete": "off"}


def _number(label: Any, name: str) -> IntegerField:
    return IntegerField(label, [InputRequired(), rule(name)], render_kw=_NUMBER)


class TextsForm(Panel):
    """What the client pages say, how often a notice is shown, where clients reach the pages."""

    notice_text_es = TextAreaField(_l("Text of the notice, in Spanish"), [rule("notice_text_es")])
    cut_text_es = TextAreaField(_l("Text of the cut page, in Spanish"), [rule("cut_text_es")])
    notice_text_en = TextAreaField(_l("Text of the notice, in English"), [rule("notice_text_en")])
    cut_text_en = TextAreaField(_l("Text of the cut page, in English"), [rule("cut_text_en")])
    seen_hours = _number(_l("To whoever only saw it: again after"), "seen_hours")
    notice_hours = _number(_l("To whoever pressed “Understood”: again after"), "notice_hours")
    notice_days = _number(_l("And that for, at most"), "notice_days")
    page_servers = TextAreaField(_l("Addresses of this server, as the clients reach it"), [rule("page_servers")])
    page_port_notice = _number(_l("Port of the notice page"), "page_port_notice")
    page_port_cut = _number(_l("Port of the cut page"), "page_port_cut")
