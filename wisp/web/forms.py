"""Form fields that the slices share."""

from collections.abc import Callable, Mapping
from typing import Any

from flask_babel import gettext as _
from wtforms import Field, PasswordField
from wtforms.validators import StopValidation, ValidationError
from wtforms.widgets import TextInput

from wisp.core import money
from wisp.core.errors import Refused
from wisp.core.text import format_characters, without_format
from wisp.web.formats import facts, locale
from wisp.web.pages import toast


class MoneyField(Field):
    """An amount, typed the way the page writes amounts (350, 350.00, 1,350.50); its data are minor units."""

    widget = TextInput()
    data: int | None

    def __init__(self, *args: Any, currency: Callable[[], str] | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("render_kw", {"inputmode": "decimal", "autocomplete": "off"})
        super().__init__(*args, **kwargs)
        self.currency = currency or (lambda: facts().currency)

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return money.plain(self.data, self.currency()) if self.data is not None else ""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read the typed text; an empty one is None."""
        text = valuelist[0].strip() if valuelist else ""
        self.data = None
        if text:
            try:
                self.data = money.parse_money(text, self.currency(), locale())
            except money.NotAnAmount as error:
                raise ValidationError(str(money.refusal(error, text, self.currency(), locale()))) from None


class Checked:
    """A validator made of a rule of the slice's domain, which answers with the value as it is stored.

    ``refuse`` turns the rule's exception into a ``Refused``, whose sentence is shown at the field.
    """

    def __init__(self, rule: Callable[[Any], Any], refuse: Callable[[Exception], Refused]) -> None:
        self.rule = rule
        self.refuse = refuse

    def __call__(self, _form: Any, field: Field) -> None:
        """Replace the field's data by the stored form, or stop with the sentence."""
        if field.errors or field.data is None:
            return
        _leave_out_invisible(field)
        try:
            field.data = self.rule(field.data)
        except ValueError as error:
            raise StopValidation(str(self.refuse(error))) from None


def _leave_out_invisible(field: Field) -> None:
    """Drop format characters, which come with what is pasted, and say so; from a password nothing is dropped."""
    if not isinstance(field.data, str) or isinstance(field, PasswordField):
        return
    found = format_characters(field.data)
    if found:
        field.data = without_format(field.data)
        toast(
            _("“%(field)s” held characters that nobody sees (%(found)s): they were left out.",
              field=field.label.text, found=found),
            "info",
        )  # fmt: skip


def put_error(form: Any, refused: Refused, field_of: Mapping[str, str]) -> None:
    """Show a refusal at the field that it is about (``field_of``: by the refusal's code), else above the form."""
    name = field_of.get(refused.code, "")
    if name in form:
        form[name].errors = [*form[name].errors, str(refused)]
    else:
        form.form_errors.append(str(refused))
