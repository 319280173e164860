"""Lists: search text, sorting and paging from the address, with two SQL statements however long the list is."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from flask import Response, request, stream_with_context, url_for
from sqlalchemy import Select, func, inspect, literal, select

from wisp.core import formulas
from wisp.core.db import session
from wisp.web.requests import row_number

COUNT_LIMIT = 10_000
MAX_PAGE = 100_000


class Listing:
    """One page of ``query``.

    ``sorts`` maps the name in the address to a column or several; ``-name`` turns the order round. Rows of equal
    rank are ordered by the primary key, so that no row shows twice. The count stops at ``count_limit``: beyond it the
    list says "more than", and costs the same at a million rows as at ten thousand.
    """

    def __init__(
        self,
        query: Select[Any],
        sorts: Mapping[str, Any],
        default: str,
        per_page: int = 50,
        prefix: str = "",
        count_limit: int = COUNT_LIMIT,
    ) -> None:
        self.count_limit = count_limit
        self.sorts = sorts
        self.default = default
        self.per_page = per_page
        self.prefix = prefix
        self.q = search_text(prefix)
        self.sort = self._sort()
        self._count(query)
        self.page = min(max(row_number(request.args.get(f"{prefix}page")) or 1, 1), MAX_PAGE)
        if self.pages is not None:
            self.page = min(self.page, max(self.pages, 1))
        ordered = query.order_by(None).order_by(*self._order(query)).offset((self.page - 1) * per_page)
        found = self._fetch(ordered.limit(per_page + 1))
        self.rows = found[:per_page]
        self.has_next = len(found) > per_page

    def _sort(self) -> str:
        wanted = request.args.get(f"{self.prefix}sort", self.default)
        return wanted if wanted.removeprefix("-") in self.sorts else self.default

    def _count(self, query: Select[Any]) -> None:
        bare = query.order_by(None)
        if not _grouped(bare):
            bare = bare.with_only_columns(literal(1), maintain_column_froms=True)
        counted = session().scalar(select(func.count()).select_from(bare.limit(self.count_limit + 1).subquery())) or 0
        self.more = counted > self.count_limit
        self.total = min(counted, self.count_limit)
        self.pages = None if self.more else -(-counted // self.per_page)

    def _order(self, query: Select[Any]) -> list[Any]:
        columns = self.sorts[self.sort.removeprefix("-")]
        columns = list(columns) if isinstance(columns, (tuple, list)) else [columns]
        if not _grouped(query):
            columns += _identity(query)
        return [column.desc() if self.sort.startswith("-") else column.asc() for column in columns]

    def _fetch(self, query: Select[Any]) -> Sequence[Any]:
        if len(query.column_descriptions) == 1:
            return session().scalars(query).all()
        return session().execute(query).all()

    @property
    def first(self) -> int:
        """The position of the first row shown, from 1; 0 where there is none."""
        return (self.page - 1) * self.per_page + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """The position of the last row shown."""
        return (self.page - 1) * self.per_page + len(self.rows)

    def direction(self, name: str) -> str:
        """``ascending``, ``descending`` or empty: how the list is sorted by ``name``."""
        if self.sort.removeprefix("-") != name:
            return ""
        return "descending" if self.sort.startswith("-") else "ascending"

    def url(self, **changes: Any) -> str:
        """The list's address with some arguments changed (``page=2``, ``sort="name"``); None takes one away."""
        arguments = request.args.to_dict(flat=False)
        for name, value in changes.items():
            arguments.pop(self.prefix + name, None)
            if value is not None:
                arguments[self.prefix + name] = [str(value)]
        values = {**(request.view_args or {}), **arguments}
        return url_for(request.endpoint or "static", **values)

    def sort_url(self, name: str) -> str:
        """The address that sorts by ``name``, or turns its order round; back to the first page."""
        turned = f"-{name}" if self.direction(name) == "ascending" else name
        return self.url(sort=turned, page=None)


PIECE = 65_536
"""Characters of a CSV file that are sent at once."""


def search_text(prefix: str = "") -> str:
    """What was typed into the search box, trimmed, at most 200 characters."""
    return request.args.get(f"{prefix}q", "").strip()[:200]


def like(text: str) -> str:
    """A LIKE pattern (escape character ``\\``) that finds ``text`` anywhere."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def csv_response(name: str, header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Response:
    """A CSV file, sent as its rows are read, so that its size costs no memory."""
    return csv_stream(name, csv_lines(header, rows))


def csv_stream(name: str, pieces: Iterator[str]) -> Response:
    """A CSV file that is there in pieces of text already."""
    response = Response(stream_with_context(pieces), mimetype="text/csv; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def csv_lines(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A CSV file in pieces (UTF-8 with a mark for spreadsheets); a cell like a formula is written as text."""
    buffer = io.StringIO()
    buffer.write("\ufeff")
    writer = csv.writer(buffer)
    writer.writerow(header)
    for row in rows:
        writer.writerow([guarded(cell) for cell in row])
        if buffer.tell() > PIECE:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def guarded(cell: Any) -> Any:
    """The cell, with an apostrophe before it where a spreadsheet would run it as a formula."""
    if isinstance(cell, str):
        return formulas.guard(cell)
    return "" if cell is None else cell


def _grouped(query: Select[Any]) -> bool:
    return bool(query._group_by_clauses or query._distinct or query._having_criteria)


def _identity(query: Select[Any]) -> list[Any]:
    """The primary key columns of the first mapped class in the query."""
    for description in query.column_descriptions:
        entity = description.get("entity")
        if entity is not None:
            mapper = inspect(entity)
            names = [mapper.mapper.get_property_by_column(column).key for column in mapper.mapper.primary_key]
            return [getattr(entity, name) for name in names]
    return []
