"""Tables in files: every dialect, encoding and spreadsheet gives the same rows, with the lines they stand on."""

import io
import zipfile
from datetime import date, datetime

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wisp.core import sheets
from wisp.core.sheets import Problem, Row, Unreadable

MIDNIGHT = datetime(2026, 1, 31)  # noqa: DTZ001  a cell of a spreadsheet has no time zone
TEXT = 'código,nombre,nota\n001,José Ñúñez,"casa, azul"\n\nB,Ana,\n'
ROWS = [(2, ["001", "José Ñúñez", "casa, azul"]), (4, ["B", "Ana", ""])]


def rows(data: bytes) -> list[tuple[int, list[str]]]:
    return [(row.line, list(row.cells.values())) for row in sheets.read(data).rows() if isinstance(row, Row)]


def reason(data: bytes) -> tuple[str, int]:
    with pytest.raises(Unreadable) as broken:
        list(sheets.read(data).rows())
    return broken.value.problem.reason, broken.value.problem.line


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "sep"])
def test_every_usual_file_is_read_alike(encoding: str, delimiter: str, mark: str) -> None:
    text = TEXT.replace('"casa, azul"', "~").replace(",", delimiter).replace("~", '"casa, azul"')
    before = f"sep={delimiter}\r\n" if mark else ""
    moved = 1 if mark else 0
    for ends in ("\n", "\r\n"):
        found = rows((before + text.replace("\n", ends)).encode(encoding))
        assert found == [(line + moved, cells) for line, cells in ROWS]


def test_how_a_file_was_read_is_told() -> None:
    assert [sheets.read(TEXT.encode(name)).encoding for name in ("utf-8", "utf-16", "cp1252")] == [
        "UTF-8", "UTF-16", "Windows-1252",
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["cp850", "mac_roman"])
def test_another_encoding_is_refused_with_its_line(encoding: str) -> None:
    assert reason("code,name\nA,José Núñez\n".encode(encoding)) == ("encoding", 2)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"), (b"\n\n,,\n", "empty"), (b"a,b\n\0,\n", "nul"), (b'a,b\n"x,\n', "quoting"),
        (b"PK\x03\x04", "spreadsheet_damaged"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "spreadsheet_damaged"),
        (b"x" * (sheets.MAX_BYTES + 1), "too_large"), (b"," * 300 + b"a\n", "too_many_columns"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused(data: bytes, expected: str) -> None:
    assert reason(data)[0] == expected


def test_rows_that_do_not_fit_are_named_and_the_rest_is_read() -> None:
    found = list(sheets.read(b"a,b\n1\n1,2,,\n1,2,3\n").rows())
    assert [item.line for item in found if isinstance(item, Problem)] == [2, 4]
    assert [item.cells for item in found if isinstance(item, Row)] == [{"a": "1", "b": "2"}]


def test_characters_that_nobody_sees_are_left_out_and_named() -> None:
    (row,) = sheets.read("\u200ba,b\nana@x.mx\u200b,\u202a55\u202c\n".encode()).rows()
    assert isinstance(row, Row)
    assert row.cells == {"a": "ana@x.mx", "b": "55"}
    assert row.dropped == {"a": "U+200B", "b": "U+202A, U+202C"}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("aé;,\t|\"' =\r\n0", max_size=6).map(str.strip), min_size=2, max_size=2).filter(any))
def test_whatever_is_quoted_comes_back(cells: list[str]) -> None:
    quoted = ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)
    (row,) = sheets.read(f"one,two\n{quoted}\n".encode()).rows()
    assert isinstance(row, Row)
    assert list(row.cells.values()) == cells


def workbook(*lines: list[object], hidden: bool = False) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    if hidden:
        sheet["A1"] = "not this one"
        sheet.sheet_state = "hidden"
        sheet = book.create_sheet("Clientes")
    for line in lines:
        sheet.append(line)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize("hidden", [False, True])
def test_a_spreadsheet_is_read_like_a_csv(hidden: bool) -> None:
    data = workbook(
        ["code", "number", "when", "yes"], ["001", 5215512345678, date(2026, 1, 31), True], [],
        ["B\nC", 350.5, MIDNIGHT, None], ["D", 33.871, None, None], [1, 5.2155e17, 0.1 + 0.2, None],
        hidden=hidden,
    )  # fmt: skip
    assert rows(data) == [
        (2, ["001", "5215512345678", "2026-01-31", "yes"]),
        (4, ["B\nC", "350.5", "2026-01-31", ""]),
        (5, ["D", "33.8710", "", ""]),  # a number is never taken for thousands
        (6, ["1", "5.2155E+17", "0.3", ""]),
    ]
    assert sheets.read(data).encoding == ""


def bomb(inside: bytes) -> bytes:
    """A workbook whose sheet is this."""
    plain, packed = zipfile.ZipFile(io.BytesIO(workbook(["a"]))), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for part in plain.namelist():
            target.writestr(part, inside if part == "xl/worksheets/sheet1.xml" else plain.read(part))
    return packed.getvalue()


_SHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>%s</sheetData></worksheet>'


@pytest.mark.parametrize(
    "inside",
    [
        _SHEET % b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        _SHEET % (b" " * (300 * 1024 * 1024)),
    ],
    ids=["far apart", "much of nothing"],
)
def test_a_small_file_that_asks_for_much_memory_is_refused(inside: bytes) -> None:
    assert reason(bomb(inside))[0] == "spreadsheet_too_large"


def order(*cells: str) -> list[str]:
    """The column as ISO dates; "?" where one cannot be told."""
    table = sheets.read("\n".join(["d,x", *(f'"{cell}",1' for cell in cells)]).encode())
    habits, read = sheets.habits(table, ["d"], []), []
    for cell in cells:
        try:
            read.append(sheets.iso_date(cell, habits.orders.get("d", "")))
        except ValueError:
            read.append("?")
    return read


def test_the_order_of_day_and_month_is_learnt_from_the_column() -> None:
    assert order("01/02/2026", "31/01/2026") == ["2026-02-01", "2026-01-31"]
    assert order("1.2.2026", "1-13-2026") == ["2026-01-02", "2026-01-13"]
    assert order("01/02/2026", "2026-01-31", "2026/1/5", "05/05/2026") == [
        "?",
        "2026-01-31",
        "2026-01-05",
        "2026-05-05",
    ]
    assert order("31/01/2026", "01/31/2026") == ["?", "?"]
    assert order("2026-01-31 00:00:00", "31/01/26", "soon", "2026-01-31 05:00") == [
        "2026-01-31", "31/01/26", "soon", "2026-01-31 05:00",
    ]  # fmt: skip
