"""Finding clients by the beginning of what a person types; the table of terms behind it."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from wisp.clients import domain, networks
from wisp.clients.models import Client, ClientTerm
from wisp.core.db import Base, session

CHUNK = 5_000
COMMON = 40_000
_COLUMNS = (
    Client.id, Client.name, Client.code, Client.address, Client.phone, Client.username, Client.email, Client.address6,
    Client.phone2,
)  # fmt: skip


def index(client_ids: Sequence[int]) -> None:
    """Make the terms of these clients anew from their present values; to be called after every change of them."""
    for start in range(0, len(client_ids), CHUNK):
        ids = client_ids[start : start + CHUNK]
        session().execute(sa.delete(ClientTerm).where(ClientTerm.client_id.in_(ids)))
        further = networks.of(ids)
        rows = session().execute(sa.select(*_COLUMNS).where(Client.id.in_(ids)))
        insert_terms((*row, further.get(row.id, ())) for row in rows)


def insert_terms(rows: Iterable[Sequence[Any]]) -> None:
    """Write the terms of clients that have none: the id and the arguments of domain.search_terms of each."""
    terms = sorted(
        (term, client_id) for client_id, *values in rows for term in domain.search_terms(*values)
    )  # in the order of the index: fewer pages are touched
    if terms:
        table = Base.metadata.tables["client_term"]
        session().execute(table.insert(), [{"term": term, "client_id": client_id} for term, client_id in terms])


def matching(query: str, *, by_invoice: bool = True) -> Any | None:
    """The condition on Client that ``query`` asks for; None where it asks for nothing.

    Every word must begin one of the client's terms, or (unless ``by_invoice`` is False) the whole is the label of one
    of its invoices (or, of digits alone, the number of one). What it costs depends on what is found, not on how many
    clients there are: a word that many have is looked up client by client, in the order of the list, until its page is
    full.
    """
    words = domain.query_terms(query)
    if not words:
        return None
    common = _common(words)
    invoiced = _by_invoice(query.strip()) if by_invoice else None
    rare = [_beginning_with(word) for word in words if word not in common]
    frequent = [_among_terms_of_client(word) for word in common]
    if invoiced is None:
        return sa.and_(*(Client.id.in_(found) for found in rare), *frequent)
    if rare:
        return Client.id.in_(rare[0].union(invoiced))
    return sa.or_(*frequent, Client.id.in_(invoiced))


def _beginning_with(word: str) -> sa.Select[int]:
    return sa.select(ClientTerm.client_id).where(ClientTerm.term >= word, ClientTerm.term < word + "\U0010ffff")


def _among_terms_of_client(word: str) -> Any:
    """True for a client one of whose own terms begins so. Written so that the index on the client is used, never
    that on the term: the word is frequent."""
    own = sa.select(ClientTerm.client_id).where(ClientTerm.client_id == Client.id)
    return own.where(sa.func.substr(ClientTerm.term, 1, len(word)) == word).exists()


def _common(words: list[str]) -> list[str]:
    """The words that more than COMMON terms begin with; one statement, which stops counting there."""
    counts = [
        sa.select(sa.func.count())
        .select_from(_beginning_with(word).limit(COMMON + 1).subquery())
        .scalar_subquery()
        .label(f"word_{position}")
        for position, word in enumerate(words)
    ]
    found = session().execute(sa.select(*counts)).one()
    return [word for word, count in zip(words, found, strict=True) if count > COMMON]


def _by_invoice(text: str) -> sa.Select[Any] | None:
    """Clients with an invoice of that label or number. Invoices are of a higher slice: asked by table name."""
    digits = text[len(text.rstrip("0123456789")) :]
    if not text.isascii() or not 1 <= len(digits) <= 9 or " " in text:
        return None
    invoice, series = Base.metadata.tables["invoice"], Base.metadata.tables["invoice_series"]
    query = sa.select(invoice.c.client_id).where(
        invoice.c.series_id.in_(sa.select(series.c.id)), invoice.c.number == int(digits)
    )
    return query if text == digits else query.where(sa.func.lower(invoice.c.label) == text.lower())
