"""What people read of the settings: choices and refusals."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from wisp.settings.models import Company
from wisp.settings.service import company

TAX_MODES = {"included": _l("The prices include the tax"), "added": _l("The tax is added to the prices")}
TITLES = {"": _l("Payment request"), "receipt": _l("Receipt"), "invoice": _l("Invoice")}
SECURITIES = {
    "starttls": _l("STARTTLS (usual with port 587)"),
    "tls": _l("TLS from the start (usual with port 465)"),
    "none": _l("None: everything is readable on the way"),
}


def tax_name(firm: Company) -> str:
    """What invoices call the tax: the setting, else the usual name in the language of the reader."""
    return firm.tax_name or str(_("VAT"))


def _tax_id() -> str:
    return "RFC" if company().currency == "MXN" else str(_("Tax id"))


TAX_ID = LazyString(_tax_id)
"""What the tax number of a company or a client is called in the company's country."""
MESSAGES = {
    "amount.amount": _l("“%(value)s” is not an amount. Write it like %(example)s."),
    "amount.ambiguous": _l("“%(value)s” could be two amounts. Write it like %(example)s."),
    "amount.negative": _l("“%(value)s” is below zero, which is not possible here."),
    "amount.too_fine": _l(
        "“%(value)s” has too many decimals: %(currency)s has %(decimals)s. Write it like %(example)s."
    ),
    "amount.too_large": _l("“%(value)s” is beyond all bounds."),
    "settings.name": _l("The company needs a name."),
    "settings.timezone": _l("There is no time zone “%(value)s”. They are named like America/Mexico_City."),
    "settings.currency": _l("The currency “%(value)s” is not known. Known: %(known)s."),
    "settings.currency_fixed": _l(
        "The currency stays %(currency)s: there are amounts in it already (prices, invoices, payments or limits), and "
        "they would mean something else."
    ),
    "settings.tax": _l("“%(value)s” is not a tax: write a percentage from 0 to 100, like 16 or 10.5."),
    "settings.address": _l("“%(value)s” is not an e-mail address."),
    "settings.too_many_addresses": _l("At most %(limit)s addresses."),
    "settings.list_name": _l(
        "“%(value)s” cannot be the name of a list: letters without accents, digits, point, dash and underscore only."
    ),
    "settings.password_again": _l(
        "Server, port, user or security have changed: enter the password again, or remove the stored one."
    ),
    "settings.mail_in_clear": _l(
        "Without security user name and password could be read on the way. Choose STARTTLS or TLS, or leave the user "
        "empty."
    ),
    "settings.same_lists": _l("The lists must have different names."),
    "settings.same_ports": _l("The page of the cut and that of the notice need different ports."),
    "settings.host": _l("“%(value)s” cannot stand here: write an address, or a name like pay.example.com."),
    "settings.choice": _l("“%(value)s” is not possible here. Possible: %(known)s."),
    "settings.clock": _l("“%(value)s” is not an hour: write it like 08:00."),
    "settings.days": _l("“%(value)s” are not days of the week."),
    "settings.hours": _l("Write both hours, the first earlier than the second, or none."),
    "settings.range": _l("It must be between %(low)s and %(high)s."),
    "settings.variable": _l("“%(value)s” is not a variable that there is. Possible: %(known)s."),
    "settings.seen_longer": _l("Whoever only saw the notice can't be left alone for longer than whoever confirmed it."),
    "settings.picture": _l("This file is not a PNG or JPEG picture, or it is damaged."),
    "settings.picture_side": _l("The picture may be at most %(limit)s pixels wide and high."),
    "settings.picture_size": _l(
        "The picture has %(size)s kB and may have at most %(limit)s: make it smaller, or save it with fewer colours."
    ),
    "settings.too_long": _l("At most %(limit)s characters."),
}
