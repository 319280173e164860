"""What every request must bear: numbers that a database can hold, no NUL, no argument that would change an address."""

from typing import Any

from flask import Flask, Request, abort, request
from werkzeug.datastructures import MultiDict
from werkzeug.routing import IntegerConverter
from werkzeug.utils import cached_property

from wisp.core.sql import LARGEST_ID


class Number(IntegerConverter):
    """``<int:…>`` in an address: a number that no row can have is an address that does not exist (404)."""

    def __init__(self, map: Any, *args: Any, **options: Any) -> None:
        super().__init__(map, *args, **{"max": LARGEST_ID, **options})


class OurRequest(Request):
    """A request whose arguments can be handed to ``url_for``."""

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """The query, without the names that ``url_for`` or the address itself take: they are nothing of ours."""
        taken = {"endpoint", *(self.view_args or {})}
        found = super().args
        kept = [(name, value) for name, value in found.items(multi=True) if name[:1] != "_" and name not in taken]
        return self.parameter_storage_class(kept)


def row_number(text: str | None) -> int | None:
    """The row number that ``text`` spells; None where it is none, or larger than any can be."""
    if not text or not (text.isascii() and text.isdigit()) or len(text) > len(str(LARGEST_ID)):
        return None
    value = int(text)
    return value if value <= LARGEST_ID else None


def row_numbers(texts: list[str]) -> list[int]:
    """Those of ``texts`` that are row numbers."""
    return [value for value in map(row_number, texts) if value is not None]


def refuse_nul() -> None:
    """Before each request: no text of ours holds NUL, and PostgreSQL takes none (400)."""
    uploads = [(name, file.filename) for name, file in request.files.items(multi=True)]
    for name, value in (("", request.path), *request.args.items(True), *request.form.items(True), *uploads):
        if "\0" in name or "\0" in (value or ""):
            abort(400)


def init_app(app: Flask) -> None:
    """Before any address is added."""
    app.request_class = OurRequest
    app.url_map.converters["int"] = Number
    app.before_request(refuse_nul)
