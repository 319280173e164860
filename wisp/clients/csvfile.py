"""The client CSV as a format: what its columns are called, and clients to text. Reading files is core.sheets."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from wisp.clients import domain
from wisp.clients.models import Client
from wisp.core import sheets
from wisp.core.sheets import Habits, Problem, Row, Table

__all__ = ["BASE", "OPTIONAL", "Problem", "Row"]
BASE = (
    "code", "name", "email", "phone", "zone", "plan", "connection", "address", "mac", "username", "password",
    "language", "installed_on",
)  # fmt: skip
OPTIONAL = (
    "balance", "billed_through", "state", "legal_name", "tax_id", "address6", "networks", "phone2", "service_address",
    "coordinates", "note", "free", "no_notice", "no_cut", "price", "payer", "fiscal_address",
)  # fmt: skip
EXPORTED = (*BASE, *(name for name in OPTIONAL if name not in ("balance", "price", "payer")))
"""A balance belongs to the account, and is brought along once."""
DATES = ("installed_on", "billed_through", "no_cut")
AMOUNTS = ("balance",)
MAX_PROBLEMS = 1_000
"""So many are listed; the rest is counted."""

SPANISH = {
    "code": "código", "name": "nombre", "email": "correo", "phone": "teléfono", "zone": "zona", "plan": "plan",
    "connection": "conexión", "address": "dirección IP", "mac": "MAC", "username": "usuario", "password": "contraseña",
    "language": "idioma", "installed_on": "fecha de instalación", "balance": "saldo",
    "billed_through": "facturado hasta", "state": "estado", "legal_name": "razón social", "tax_id": "RFC",
    "address6": "IPv6", "networks": "redes", "phone2": "segundo teléfono", "service_address": "domicilio",
    "coordinates": "coordenadas", "note": "nota", "free": "servicio gratuito", "no_notice": "sin aviso",
    "no_cut": "sin corte", "price": "precio", "payer": "pagador", "fiscal_address": "domicilio fiscal",
}  # fmt: skip
_ALSO = {
    "code": ("clave", "no. de cliente", "número de cliente", "id"),
    "name": ("nombre completo", "cliente", "nombre del cliente"),
    "email": ("e-mail", "mail", "correo electrónico", "correos"),
    "phone": ("tel", "tel.", "celular", "móvil", "teléfono 1"),
    "zone": ("zona de facturación",), "plan": ("paquete",), "connection": ("tipo de conexión",),
    "address": ("ip", "ipv4", "ip address", "dirección ipv4"), "mac": ("dirección mac", "mac address"),
    "username": ("user", "usuario pppoe", "login"), "password": ("contraseña pppoe", "clave pppoe"),
    "language": ("lengua",), "installed_on": ("instalado el", "instalación", "fecha instalación", "fecha de alta"),
    "balance": ("adeudo", "deuda"), "state": ("estatus", "status"),
    "tax_id": ("identificación fiscal", "cuit", "nit", "ruc", "rut", "rnc"),
    "address6": ("dirección ipv6",), "networks": ("red",), "phone2": ("teléfono 2", "otro teléfono"),
    "service_address": ("domicilio del servicio", "dirección del servicio", "calle"), "coordinates": ("gps",),
    "note": ("notas", "observaciones", "comentarios"), "free": ("gratis", "cortesía"),
    "no_cut": ("no cortar",), "fiscal_address": ("dirección fiscal",),
}  # fmt: skip
NAMES = {
    sheets.folded(called): name for name in (*BASE, *OPTIONAL) for called in (name, SPANISH[name], *_ALSO.get(name, ()))
}
"""What a header may call a column, folded."""
_STREET = sheets.folded("dirección")
_VALUES = {
    "connection": {"estatica": "static", "ipestatica": "static", "ipfija": "static", "fija": "static"},
    "language": {"espanol": "es", "ingles": "en", "spanish": "es", "english": "en"},
    "state": {"activo": "active", "suspendido": "suspended", "cancelado": "cancelled", "baja": "cancelled"},
}
_YES_NO = {"si": "yes", "x": "yes", "1": "yes", "true": "yes", "verdadero": "yes", "yes": "yes",
           "no": "no", "0": "no", "false": "no", "falso": "no"}  # fmt: skip


def open_table(data: bytes) -> Table:
    """The table in a file. "Dirección" alone is the IP address; beside a column with that, the street."""
    table = sheets.read(data)
    has_address = any(NAMES.get(sheets.folded(name)) == "address" for name in table.columns)
    return table.renamed({**NAMES, _STREET: "service_address" if has_address else "address"})


def habits(table: Table) -> Habits:
    """How dates and amounts are written in it."""
    return sheets.habits(table, DATES, AMOUNTS)


def said(column: str, cell: str) -> str:
    """A cell of a fixed choice in the words of the format ("Sí" -> "yes", "Activo" -> "active"); others stay."""
    words = _YES_NO if column in ("free", "no_notice", "no_cut") else _VALUES.get(column)
    return words.get(sheets.folded(cell), cell) if words and cell else cell


def write(
    clients: Iterable[tuple[Client, Mapping[str, Any]]], zones: Mapping[int, str], plans: Mapping[int, str]
) -> Iterator[str]:
    """The file's lines for clients, each with what is not on it (state, clear password, networks); ``zones`` and
    ``plans`` name the ids.

    A cell that a spreadsheet would take for a formula is guarded; reading takes the guard off again.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(EXPORTED)
    for client, more in clients:
        cells = {
            **more,
            "zone": zones.get(client.zone_id, ""),
            "plan": plans.get(client.plan_id, ""),
            "no_cut": True if client.no_cut else client.no_cut_until or False,
        }
        writer.writerow([domain.guard_cell(cell(cells.get(name, getattr(client, name, "")))) for name in EXPORTED])
        if buffer.tell() > 32_768:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def cell(value: Any) -> str:
    """A value of a client as a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def template(spanish: bool) -> str:
    """A header alone, to be filled in."""
    names = [name for name in (*BASE, *OPTIONAL) if name not in ("price", "payer")]
    return ",".join(SPANISH[name] if spanish else name for name in names) + "\r\n"
