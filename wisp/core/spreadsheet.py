"""``python -m wisp.core.spreadsheet``: a spreadsheet on stdin (.xlsx, .xlsm, .xlsb, .xls, .ods) as CSV on stdout.

It runs alone, with little memory and time: a small file can ask for a great deal of both. Why it failed stands on
stderr as a code, exit 1.
"""

import csv
import io
import resource
import sys
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from python_calamine import CalamineError, PasswordError, SheetVisibleEnum, load_workbook

MAX_ROWS = 200_000
MAX_TEXT = 64 * 1024 * 1024
MAX_UNPACKED = 256 * 1024 * 1024
_MEMORY = 1024 * 1024 * 1024
_SECONDS = 50


def cell_text(value: Any) -> str:
    """A cell as text. Numbers have a point and no groups; three decimals get a fourth, so that they are no thousands; a
    number of more digits than a spreadsheet keeps stays damaged (1.2E+19). Dates are YYYY-MM-DD."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if abs(value) >= 10**15:
            return f"{value:.4E}"
        if value.is_integer():
            return str(int(value))
        text = f"{value:.10f}".rstrip("0")
        return text + "0" if len(text.partition(".")[2]) == 3 else text
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == value.time().min else value.isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def rows(data: bytes) -> Iterator[list[str]]:
    """The rows of the first visible sheet that holds something, from its first row on."""
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if sum(part.file_size for part in packed.infolist()) > MAX_UNPACKED:
                raise MemoryError
    book = load_workbook(io.BytesIO(data))
    for number, about in enumerate(book.sheets_metadata):
        if about.visible != SheetVisibleEnum.Visible:
            continue
        sheet = book.get_sheet_by_index(number)
        if sheet.height:
            for row in sheet.iter_rows():
                yield [cell_text(value) for value in row]
            return


def main() -> None:
    """See above."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
    writer, written = csv.writer(out, lineterminator="\n"), 0
    try:
        for count, row in enumerate(rows(sys.stdin.buffer.read())):
            written += sum(map(len, row)) + len(row)
            if count > MAX_ROWS:
                sys.exit("too_many_rows")
            if written > MAX_TEXT:
                sys.exit("spreadsheet_too_large")
            writer.writerow(row)
        out.flush()
    except PasswordError:
        sys.exit("spreadsheet_password")
    except MemoryError:
        sys.exit("spreadsheet_too_large")
    except (CalamineError, zipfile.BadZipFile, ValueError, OSError):
        sys.exit("spreadsheet_damaged")


if __name__ == "__main__":
    main()
