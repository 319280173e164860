"""Tables in files: CSV of any usual dialect and encoding, and spreadsheets, as rows of text with their line numbers.

Nothing is kept of a file but its bytes: ``Table.rows`` reads them anew each time, so that a large one costs little.
"""

import codecs
import csv
import io
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wisp.core import money, spreadsheet
from wisp.core.spreadsheet import MAX_ROWS, MAX_TEXT
from wisp.core.text import format_characters, without_format

MAX_BYTES = 16 * 1024 * 1024
MAX_COLUMNS = 200
ENCODINGS = {"utf-8-sig": "UTF-8", "utf-8": "UTF-8", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16",
             "cp1252": "Windows-1252"}  # fmt: skip

_CHUNK = 65_536
_SECONDS = 60
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How a file of Excel or LibreOffice begins."""
_USUAL = re.compile(r"[\x00-\x7f\u00a0-\u00a3\u00a7-\u00d6\u00d8-\u00f6\u00f8-\u00ff€–—‘’“”…•™œŒ]*")
_TORN = re.compile(r"[^\W\d_][–—“”…•¡-¯±²³´¶·¸»¼½¾¿][^\W\d_]")
"""What stands inside a word only where another encoding was taken for Windows-1252 (Nu–ez)."""
_DAY = re.compile(r"([0-9]{1,4})([-/.])([0-9]{1,2})\2([0-9]{1,4})(?:[ T]00:00(?::00(?:\.0+)?)?)?")


@dataclass(frozen=True)
class Problem:
    """Why a file cannot be read: ``reason`` is a code, ``values`` fill its sentence. Line 1 is the file's first."""

    line: int
    column: str
    reason: str
    values: Mapping[str, Any] = field(default_factory=dict)


class Unreadable(Exception):
    """A file that cannot be read at all."""

    def __init__(self, line: int, reason: str, **values: Any) -> None:
        super().__init__(reason)
        self.problem = Problem(line, "", reason, values)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line on which it begins, its cells by column, trimmed; ``dropped``: the format characters that
    were left out of a column's cell (U+200B …)."""

    line: int
    cells: dict[str, str]
    dropped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table in a file. ``columns``: what its header says, by the names that were asked for; ``encoding`` is empty for
    a spreadsheet. ``problems``: what is wrong with the header."""

    columns: tuple[str, ...]
    problems: tuple[Problem, ...]
    encoding: str
    line: int
    _records: "_Records"

    def renamed(self, names: Mapping[str, str]) -> "Table":
        """The same table with the names that ``names`` has for what its header says (``folded``); the others are a
        problem each, and so is a name twice."""
        columns = tuple(names.get(folded(cell), cell) for cell in self.columns)
        known = set(names.values())
        once = tuple(dict.fromkeys(columns))
        problems = [Problem(self.line, name, "column_unknown") for name in once if name not in known]
        problems += [Problem(self.line, name, "column_twice") for name in once if columns.count(name) > 1]
        return replace(self, columns=columns, problems=tuple(problems))

    def rows(self) -> Iterator[Row | Problem]:
        """The rows below the header, a problem in place of each that does not fit it. Raises Unreadable half-way where
        the file breaks off."""
        nothing: Mapping[str, str] = {}
        records = iter(self._records)
        next(records, None)
        for count, (line, cells) in enumerate(records):
            while len(cells) > len(self.columns) and not cells[-1]:
                cells.pop()
            if len(cells) != len(self.columns):
                yield Problem(line, "", "cells", {"found": len(cells), "expected": len(self.columns)})
                continue
            if count >= MAX_ROWS:
                raise Unreadable(line, "too_many_rows", limit=MAX_ROWS)
            dropped = nothing
            if not "".join(cells).isprintable():
                clean = [without_format(cell) for cell in cells]
                named = zip(self.columns, cells, clean, strict=True)
                dropped = {name: format_characters(old) for name, old, new in named if old != new}
                cells = [cell.strip() for cell in clean]
            yield Row(line, dict(zip(self.columns, cells, strict=True)), dropped)


def read(data: bytes) -> Table:
    """The table in a file, its columns as its header calls them, in small letters. Raises Unreadable."""
    if len(data) > MAX_BYTES:
        raise Unreadable(1, "too_large", limit=MAX_BYTES // (1024 * 1024))
    is_book = data.startswith(_SPREADSHEETS)
    encoding = "utf-8" if is_book else _encoding(data)
    records = _Records(_converted(data) if is_book else data, encoding, "," if is_book else "", is_book)
    line, header = next(iter(records), (1, []))
    while header and not header[-1]:
        header.pop()
    if not header:
        raise Unreadable(1, "empty")
    columns = tuple(without_format(cell).strip().lower() for cell in header)
    return Table(columns, (), "" if is_book else ENCODINGS[encoding], line, records)


def folded(name: str) -> str:
    """The name of a column as it is compared: without accents, capitals and whatever is neither letter nor digit."""
    apart = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in apart if letter.isalnum())


@dataclass(frozen=True)
class Habits:
    """How a file writes what could be read in two ways, by column: ``orders`` of dates (``dmy``, ``mdy``, ``both``
    where the column contradicts itself; absent where nothing tells), ``marks`` seen as decimal marks."""

    orders: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, frozenset[str]] = field(default_factory=dict)


def habits(table: Table, dates: Iterable[str], amounts: Iterable[str]) -> Habits:
    """What all rows of a table say about the way in which its columns of dates and amounts are written."""
    orders: dict[str, set[str]] = {name: set() for name in dates if name in table.columns}
    marks: dict[str, set[str]] = {name: set() for name in amounts if name in table.columns}
    for row in table.rows() if orders or marks else ():
        if isinstance(row, Problem):
            continue
        for name, seen in orders.items():
            seen |= _order(row.cells[name])
        for name, seen in marks.items():
            mark = money.decimal_mark(row.cells[name])
            seen |= {mark} if mark else set()
    found = {name: "both" if len(seen) > 1 else next(iter(seen)) for name, seen in orders.items() if seen}
    return Habits(found, {name: frozenset(seen) for name, seen in marks.items()})


def _order(cell: str) -> set[str]:
    """What a date tells about the order of day and month: only a number above twelve does."""
    parts = _day_parts(cell)
    if parts is None or parts[0] >= 1000:
        return set()
    return {"dmy"} if parts[0] > 12 else {"mdy"} if parts[1] > 12 else set()


def iso_date(cell: str, order: str) -> str:
    """A date cell as YYYY-MM-DD; ``order`` as in Habits, or empty. What is no such date is returned as it is.
    ValueError("date_order") where day and month could be either."""
    parts = _day_parts(cell)
    if parts is None:
        return cell
    first, second, third = parts
    if first >= 1000:
        return f"{first:04}-{second:02}-{third:02}"
    if order == "both" or (not order and first != second):
        raise ValueError("date_order")
    day, month = (second, first) if order == "mdy" else (first, second)
    return f"{third:04}-{month:02}-{day:02}"


def _day_parts(cell: str) -> tuple[int, int, int] | None:
    """The three numbers of a date that has a year of four digits at one end."""
    found = _DAY.fullmatch(cell)
    if found is None or (len(found[1]) == 4) == (len(found[4]) == 4) or max(len(found[1]), len(found[4])) != 4:
        return None
    if min(len(found[1]), len(found[4])) > 2:
        return None
    return int(found[1]), int(found[3]), int(found[4])


@dataclass(frozen=True)
class _Records:
    """The records of a CSV that hold something, each with the line on which it begins; read anew by each ``iter``.

    ``numbered``: a line is a record (of a spreadsheet), whatever its cells hold.
    """

    data: bytes
    encoding: str
    delimiter: str
    numbered: bool

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        stream = io.TextIOWrapper(io.BytesIO(self.data), encoding=self.encoding, newline="")
        before, delimiter = _delimiter(stream, self.delimiter)
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        line, count = before + 1, 0
        try:
            for cells in reader:
                count += 1
                cells = [cell.strip() for cell in cells]
                if any(cells):
                    if len(cells) > MAX_COLUMNS:
                        raise Unreadable(line, "too_many_columns", limit=MAX_COLUMNS)
                    yield count if self.numbered else line, cells
                line = before + reader.line_num + 1
        except csv.Error as error:
            raise Unreadable(line, "quoting", detail=str(error)) from None


def _delimiter(stream: io.TextIOWrapper, given: str) -> tuple[int, str]:
    """What separates the cells: as Excel's first line ``sep=;`` says, else what the first line has most of. Leaves the
    stream where the table begins; answers also how many lines are before."""
    if given:
        return 0, given
    first = stream.readline(_CHUNK)
    found = re.fullmatch(r'\ufeff?"?sep=(.)"?\s*', first, re.IGNORECASE)
    if found:
        return 1, found[1]
    while first and not first.strip("\ufeff\r\n\t ,;|"):
        first = stream.readline(_CHUNK)
    stream.seek(0)
    bare = re.sub(r'"[^"]*"', "", first)
    return 0, max(",;\t|", key=bare.count)


def _encoding(data: bytes) -> str:
    """How the text of a CSV is encoded. Raises Unreadable."""
    if data.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif len(data) > 8 and not data[1:40:2].strip(b"\0"):
        encoding = "utf-16-le"
    elif len(data) > 8 and not data[0:40:2].strip(b"\0"):
        encoding = "utf-16-be"
    else:
        encoding = "utf-8"
    try:
        _decodes(data, encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise Unreadable(1, "encoding") from None
        encoding = "cp1252"
        _check_western(data, error.start)
    if encoding in ("utf-8", "utf-8-sig", "cp1252") and b"\0" in data:
        raise Unreadable(_line_of(data, data.index(b"\0")), "nul")
    return encoding


def _decodes(data: bytes, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    for start in range(0, len(data), _CHUNK):
        try:
            decoder.decode(data[start : start + _CHUNK], final=start + _CHUNK >= len(data))
        except UnicodeDecodeError as error:
            error.start += start
            raise


def _check_western(data: bytes, start: int) -> None:
    """Refuse what is not UTF-8 and, read as Windows-1252, has signs that people do not write."""
    for line in data.splitlines():
        try:
            text = line.decode("cp1252")
        except UnicodeDecodeError:
            raise Unreadable(_line_of(data, start), "encoding") from None
        if not _USUAL.fullmatch(text) or _TORN.search(text):
            raise Unreadable(_line_of(data, start), "encoding")


def _line_of(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _converted(data: bytes) -> bytes:
    """A spreadsheet as CSV, made by a process of its own (wisp.core.spreadsheet) that ends where the file asks for too
    much. Raises Unreadable."""
    command = (sys.executable, "-I", spreadsheet.__file__)
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603  ours
    except subprocess.TimeoutExpired:
        raise Unreadable(1, "spreadsheet_too_large", limit=MAX_TEXT // (1024 * 1024)) from None
    reason = done.stderr.decode(errors="replace").strip()
    if done.returncode == 0:
        return done.stdout
    if reason == "too_many_rows":
        raise Unreadable(MAX_ROWS, reason, limit=MAX_ROWS)
    if reason in ("spreadsheet_password", "spreadsheet_damaged"):
        raise Unreadable(1, reason)
    raise Unreadable(1, "spreadsheet_too_large", limit=MAX_TEXT // (1024 * 1024))
