"""The company: reading it, and changing it with a line in the audit log."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Column, delete, inspect, literal, or_, select
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from wisp.core import audit, clock, crypto, events, money
from wisp.core.db import money_columns, session
from wisp.core.errors import Refused
from wisp.core.locales import formatting_locale
from wisp.settings import domain, pictures
from wisp.settings.hours import Hours
from wisp.settings.models import Company, CompanyLogo

COMPANY_ID = 1
SECRETS = frozenset({"mail_password"})
MAIL_SERVER = ("mail_server", "mail_port", "mail_username", "mail_security")
"""Where the mail server's password is sent, as whom, and how secured."""
MAIL = frozenset({*MAIL_SERVER, "mail_password", "mail_sender"})
"""By which way e-mails go, those with links that open an account included."""


def company() -> Company:
    """The one company; before the first save, one with the default values that is not stored."""
    found = session().get(Company, COMPANY_ID)
    if found is None:
        return _blank()
    session().info["company"] = found  # the session forgets rows that nobody holds, and would read it again each time
    return found


def timezone() -> ZoneInfo:
    """The company's time zone: the default of every schedule, and the zone of the pages."""
    return clock.zone(company().timezone)


def today() -> date:
    """The local date of the company."""
    return clock.today(timezone())


def read_amount(text: str, *, allow_negative: bool = False) -> int:
    """An amount in the company's currency, written the company's way, as minor units. Refused("amount.…")."""
    firm = company()
    locale = formatting_locale(firm.language, firm.currency)
    try:
        return money.parse_money(text, firm.currency, locale, allow_negative=allow_negative)
    except money.NotAnAmount as error:
        raise money.refusal(error, text, firm.currency, locale) from None


def cut_hours() -> Hours:
    """When clients may be cut, by the clock of their zone."""
    firm = company()
    return Hours.of(firm.cut_from, firm.cut_until, firm.cut_days)


def alert_addresses() -> list[str]:
    """Where alerts go."""
    return company().alert_addresses.split()


def mail_password() -> str:
    """The mail server's password in clear, for sending only. Raises crypto.SecretUnreadable after a change of key."""
    return crypto.decrypt(company().mail_password)


def save_company(values: Mapping[str, Any]) -> set[str]:
    """Save the named values (money in minor units, tax in basis points, password in clear); the rest stays.

    Answers with the names of what changed, writes them to the audit log (a secret only as "changed") and emits
    ``settings_changed``. Raises Refused where a value cannot be stored; nothing is saved then.
    """
    try:
        wanted = domain.clean(dict(values))
    except domain.Invalid as invalid:
        raise Refused(invalid.code, **invalid.values) from None
    stored = _stored()
    names = [wanted.get(name, getattr(stored, name)) for name in domain.LIST_NAMES]
    if len(set(names)) < len(names):
        raise Refused("settings.same_lists")
    if wanted.get("page_port_cut", stored.page_port_cut) == wanted.get("page_port_notice", stored.page_port_notice):
        raise Refused("settings.same_ports")
    if wanted.get("seen_hours", stored.seen_hours) > wanted.get("notice_hours", stored.notice_hours):
        raise Refused("settings.seen_longer")
    try:
        domain.check_hours(*(wanted.get(name, getattr(stored, name)) for name in ("cut_from", "cut_until")))
    except domain.Invalid as invalid:
        raise Refused(invalid.code) from None
    _check_mail(stored, wanted)
    if wanted.get("currency", stored.currency) != stored.currency and currency_is_fixed():
        raise Refused("settings.currency_fixed", currency=stored.currency)
    before, after = {}, {}
    for name, value in wanted.items():
        old = getattr(stored, name)
        if name in SECRETS:
            if crypto.is_same(old, value):
                continue
            before[name], after[name] = bool(old), "changed" if value else False
            setattr(stored, name, crypto.encrypt(value))
        elif old != value:
            before[name], after[name] = old, value
            setattr(stored, name, value)
    session().flush()
    if after:
        audit.record("settings.save", "company", before, after)
        events.settings_changed.emit(changed=set(after))
    return set(after)


def currency_is_fixed() -> bool:
    """Whether any amount is kept: all of them are in the company's one currency, which therefore cannot change.

    What counts is what differs from nothing, and from the limits that a new company has.
    """
    return any(
        session().scalar(select(literal(1)).where(or_(*[column != _unset(column) for column in columns])).limit(1))
        for _table, columns in money_columns()
    )


def _unset(column: Column[int]) -> int:
    default = column.default
    return default.arg if isinstance(default, ScalarElementColumnDefault) else 0


def _check_mail(stored: Company, wanted: dict[str, Any]) -> None:
    """The stored password stays with the server, port, user and security that it was stored for: it is dropped where no
    server is named any more, else it must be typed again. No password goes over a line that others can read."""
    if not wanted.keys() & {*MAIL_SERVER, *SECRETS}:
        return
    present = {name: getattr(stored, name) for name in MAIL_SERVER}
    future = {name: wanted.get(name, present[name]) for name in MAIL_SERVER}
    open_line = future["mail_security"] == "none" and not domain.own_machine(future["mail_server"])
    if future["mail_server"] and future["mail_username"] and open_line:
        raise Refused("settings.mail_in_clear")
    if stored.mail_password and "mail_password" not in wanted and _destination(present) != _destination(future):
        if future["mail_server"]:
            raise Refused("settings.password_again")
        wanted["mail_password"] = ""


def _destination(values: Mapping[str, Any]) -> crypto.Destination:
    return crypto.Destination(*(values[name] for name in MAIL_SERVER))


def set_logo(data: bytes) -> pictures.Picture:
    """Take an uploaded file as the company's logo, in place of the one before. Raises Refused where it is no picture
    that every phone shows, or too large."""
    try:
        picture = pictures.check(data)
    except domain.Invalid as invalid:
        raise Refused(invalid.code, **invalid.values) from None
    digest = hashlib.sha256(picture.data).hexdigest()
    firm = _stored()
    if firm.logo == digest:
        return picture
    session().execute(delete(CompanyLogo))
    session().add(
        CompanyLogo(
            digest=digest, kind=picture.kind, width=picture.width, height=picture.height, data=picture.data,
            uploaded_at=clock.now(),
        )
    )  # fmt: skip
    _name_logo(firm, digest)
    return picture


def remove_logo() -> bool:
    """Take the logo away; False where there is none."""
    firm = _stored()
    if not firm.logo:
        return False
    session().execute(delete(CompanyLogo))
    _name_logo(firm, "")
    return True


def _name_logo(firm: Company, digest: str) -> None:
    before, firm.logo = firm.logo, digest
    session().flush()
    audit.record("settings.logo", "company", {"logo": before}, {"logo": digest})
    events.settings_changed.emit(changed={"logo"})


def logo() -> CompanyLogo | None:
    """The company's picture; None where there is none."""
    digest = company().logo
    return session().get(CompanyLogo, digest) if digest else None


_LOGO_TEXTS: dict[str, tuple[str, int, int]] = {}


def logo_text() -> tuple[str, int, int] | None:
    """The logo as a ``data:`` address with its width and height, for a document that must stand alone.

    Kept in memory under its digest: a page costs no statement for it.
    """
    digest = company().logo
    if digest and digest not in _LOGO_TEXTS:
        found = logo()
        if found is None:
            return None
        _LOGO_TEXTS.clear()
        text = f"data:{found.kind};base64,{base64.b64encode(found.data).decode()}"
        _LOGO_TEXTS[digest] = (text, found.width, found.height)
    return _LOGO_TEXTS.get(digest) if digest else None


def _stored() -> Company:
    """The company's row, made where there is none yet."""
    stored = session().get(Company, COMPANY_ID)
    if stored is None:
        stored = _blank()
        session().add(stored)
    return stored


def _blank() -> Company:
    """A company with the default of every column, as the database would fill them in."""
    columns = inspect(Company).columns
    defaults = {
        column.key: column.default.arg for column in columns if isinstance(column.default, ScalarElementColumnDefault)
    }
    return Company(**defaults)
