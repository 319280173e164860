"""Forms of log-in, password, second factor and staff."""

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, PasswordField, SelectField, StringField
from wtforms.validators import EqualTo, InputRequired, Length


class LoginForm(FlaskForm):
    """Address and password; ``next`` is where to go afterwards, checked before it is used."""

    email = StringField(
        _l("E-mail"),
        [InputRequired(), Length(max=254)],
        render_kw={"type": "email", "autocomplete": "username", "inputmode": "email", "spellcheck": "false"},
    )
    password = PasswordField(
        _l("Password"), [InputRequired(), Length(max=200)], render_kw={"autocomplete": "current-password"}
    )
    remember = BooleanField(_l("Keep me logged in on this device for 30 days"))
    next = HiddenField()


class CodeForm(FlaskForm):
    """The second step of the log-in: a code of the phone, or a recovery code."""

    code = StringField(
        _l("Code"),
        [InputRequired(), Length(max=40)],
        render_kw={"autocomplete": "one-time-code", "inputmode": "text", "spellcheck": "false"},
    )


class ResetForm(FlaskForm):
    """Ask for a link that sets a new password."""

    email = StringField(
        _l("E-mail"),
        [InputRequired(), Length(max=254)],
        render_kw={"type": "email", "autocomplete": "username", "inputmode": "email", "spellcheck": "false"},
    )


class NewPasswordForm(FlaskForm):
    """Choose a password by a link."""

    new = PasswordField(
        _l("New password"), [InputRequired(), Length(max=200)], render_kw={"autocomplete": "new-password"}
    )
    again = PasswordField(
        _l("New password, once more"),
        [InputRequired(), EqualTo("new", _l("The two new passwords differ."))],
        render_kw={"autocomplete": "new-password"},
    )


class ConfirmForm(FlaskForm):
    """The own password once more, before something that protects the account is changed."""

    password = PasswordField(
        _l("Present password"), [InputRequired(), Length(max=200)], render_kw={"autocomplete": "current-password"}
    )


class SecondFactorForm(ConfirmForm):
    """Turn the second factor on; ``secret`` is encrypted, and stored only once a code shows that the phone has it."""

    secret = HiddenField(validators=[InputRequired()])
    code = StringField(
        _l("Code that the phone shows"),
        [InputRequired(), Length(max=12)],
        render_kw={"autocomplete": "one-time-code", "inputmode": "numeric", "spellcheck": "false"},
    )


class StaffForm(FlaskForm):
    """Name, address and role of a staff user."""

    name = StringField(_l("Name"), [InputRequired(), Length(max=120)], render_kw={"autocomplete": "off"})
    email = StringField(
        _l("E-mail"),
        [InputRequired(), Length(max=254)],
        render_kw={"type": "email", "autocomplete": "off", "spellcheck": "false"},
    )
    role = SelectField(_l("Role"))
    password = PasswordField(_l("Present password"), [Length(max=200)], render_kw={"autocomplete": "current-password"})


class PasswordForm(FlaskForm):
    """Change one's own password."""

    old = PasswordField(
        _l("Present password"), [InputRequired(), Length(max=200)], render_kw={"autocomplete": "current-password"}
    )
    new = PasswordField(
        _l("New password"), [InputRequired(), Length(max=200)], render_kw={"autocomplete": "new-password"}
    )
    again = PasswordField(
        _l("New password, once more"),
        [InputRequired(), EqualTo("new", _l("The two new passwords differ."))],
        render_kw={"autocomplete": "new-password"},
    )
