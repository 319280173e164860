"""The client CSV as a format: bytes to rows of text, and clients to text. It checks the file, not the values."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wisp.clients import domain
from wisp.clients.models import Client

BASE = (
    "code", "name", "email", "phone", "zone", "plan", "connection", "address", "mac", "username", "password",
    "language", "installed_on",
)  # fmt: skip
OPTIONAL = ("balance", "billed_through", "state", "legal_name", "tax_id", "address6")
EXPORTED = (*BASE, "billed_through", "state", "legal_name", "tax_id", "address6")
MAX_BYTES = 16 * 1024 * 1024
MAX_ROWS = 200_000
MAX_PROBLEMS = 1_000
"""So many are listed; the rest is counted."""


@dataclass(frozen=True)
class Problem:
    """Why a file cannot be imported: ``reason`` is a code, ``values`` fill its sentence. Line 1 is the header."""

    line: int
    column: str
    reason: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One client of the file: the line on which it begins, and its cells by column, trimmed."""

    line: int
    cells: dict[str, str]


def read(data: bytes) -> tuple[tuple[str, ...], list[Row], list[Problem]]:
    """Columns, rows and problems of a file. UTF-8, with or without a mark; separated by commas, or as spreadsheets
    of many countries write it, by semicolons or tabs. Empty lines are passed over."""
    text, problem = _decode(data)
    if problem:
        return (), [], [problem]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    rows: list[Row] = []
    problems: list[Problem] = []
    columns: tuple[str, ...] = ()
    try:
        for line, cells in _records(reader):
            if not columns:
                columns = tuple(cell.lower() for cell in cells)
                problems += _header_problems(columns)
                if problems:
                    return columns, [], problems
            elif len(cells) != len(columns):
                problems.append(Problem(line, "", "cells", {"found": len(cells), "expected": len(columns)}))
            elif len(rows) >= MAX_ROWS:
                return columns, [], [Problem(line, "", "too_many_rows", {"limit": MAX_ROWS})]
            else:
                unguarded = (domain.unguard_cell(cell) for cell in cells)
                rows.append(Row(line, dict(zip(columns, unguarded, strict=True))))
    except csv.Error as error:
        problems.append(Problem(reader.line_num, "", "quoting", {"detail": str(error)}))
    if not columns and not problems:
        problems.append(Problem(1, "", "empty"))
    return columns, rows, problems


def _decode(data: bytes) -> tuple[str, Problem | None]:
    if len(data) > MAX_BYTES:
        return "", Problem(1, "", "too_large", {"limit": MAX_BYTES // (1024 * 1024)})
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return "", Problem(data[: error.start].count(b"\n") + 1, "", "encoding")
    if "\0" in text:
        return "", Problem(text[: text.index("\0")].count("\n") + 1, "", "nul")
    return text, None


def _delimiter(text: str) -> str:
    first = text.lstrip("\r\n").split("\n", 1)[0]
    return max(",;\t", key=first.count)


def _records(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Records that hold something, each with the line on which it begins."""
    line = 1
    for cells in reader:
        trimmed = [cell.strip() for cell in cells]
        if any(trimmed):
            yield line, trimmed
        line = reader.line_num + 1


def _header_problems(columns: tuple[str, ...]) -> list[Problem]:
    problems = [Problem(1, name, "column_missing") for name in BASE if name not in columns]
    problems += [
        Problem(1, name, "column_unknown")
        for name in dict.fromkeys(columns)
        if name not in BASE and name not in OPTIONAL
    ]
    return problems + [Problem(1, name, "column_twice") for name in dict.fromkeys(columns) if columns.count(name) > 1]


def write(
    clients: Iterable[tuple[Client, str, str]], zones: Mapping[int, str], plans: Mapping[int, str]
) -> Iterator[str]:
    """The file's lines for (client, state, clear password); ``zones`` and ``plans`` name the ids.

    A cell that a spreadsheet would take for a formula is guarded; reading takes the guard off again.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(EXPORTED)
    for client, state, password in clients:
        cells = {
            "zone": zones.get(client.zone_id, ""),
            "plan": plans.get(client.plan_id, ""),
            "password": password,
            "state": state,
        }
        writer.writerow([domain.guard_cell(_cell(cells.get(name, getattr(client, name, "")))) for name in EXPORTED])
        if buffer.tell() > 32_768:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
