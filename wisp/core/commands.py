"""What every command of the command line shares: its answer, its refusal, its actor."""

import getpass
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from functools import wraps
from typing import Any, NoReturn, TypeVar

import click
from flask_babel import lazy_gettext as _l
from sqlalchemy.exc import DBAPIError

from wisp.core import audit, db
from wisp.core.errors import Refused
from wisp.core.sql import LARGEST_ID

BUSY = _l("Nothing was saved: the database is busy. Try again.")

log = logging.getLogger(__name__)
F = TypeVar("F", bound=Callable[..., Any])


class Failure(click.ClickException):
    """The command was refused or failed: one line on stderr, exit 1."""

    def show(self, file: Any = None) -> None:
        """The line itself, without click's prefix."""
        click.echo(self.message, err=True)


def fail(why: str) -> NoReturn:
    """End the command with exit 1 and one line why."""
    raise Failure(" ".join(why.split()))


ROW = click.IntRange(1, LARGEST_ID)
"""The type of an argument that is the number of a row."""
json_option = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document on stdout.")
wait_option = click.option(
    "--wait",
    is_flag=True,
    help="Do the work and what follows from it in this process; neither worker nor Redis is needed.",
)
password_option = click.option(
    "--password-stdin", "password_stdin", is_flag=True, required=True, help="Read the password from stdin (first line)."
)


def read_password() -> str:
    """The first line of stdin; refused where it is empty."""
    password: str = sys.stdin.readline().rstrip("\r\n")
    if not password:
        fail("no password on stdin")
    return password


def command(function: F) -> F:
    """Run a command as its system user; a ``Refused`` and trouble with the database become a sentence and exit 1.

    One whose transaction the database gave up for another one's sake says that nothing was saved, where that is so.
    """

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with command_actor():
            try:
                return function(*args, **kwargs)
            except Refused as refused:
                fail(str(refused))
            except DBAPIError as error:
                log.debug("the database refused", exc_info=True)
                if db.busy(error) and not db.commits():
                    fail(str(BUSY))
                why = str(error.orig).strip().partition("\n")[0]
                fail(f"the database cannot be used: {why} (is it there, and has `flask db upgrade` been run?)")

    return wrapped  # type: ignore[return-value]


@contextmanager
def command_actor() -> Iterator[None]:
    """Act as ``cli:<system user>`` inside the block."""
    before = audit.actor()
    audit.act_as(audit.Actor(f"cli:{_system_user()}"))
    try:
        yield
    finally:
        audit.act_as(before)


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def emit(data: Any, as_json: bool, text: str | None = None) -> None:
    """Print the answer: JSON, or ``text``, or else a plain table (list of mappings) or ``key: value`` lines."""
    if as_json:
        click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=_json_value))
    elif text is not None:
        click.echo(text)
    elif isinstance(data, dict):
        for key, value in data.items():
            click.echo(f"{key}: {_cell(value)}")
    elif isinstance(data, list):
        _table(data)
    else:
        click.echo(data)


def _table(rows: list[Any]) -> None:
    if not rows or not isinstance(rows[0], dict):
        for row in rows:
            click.echo(row)
        return
    head = [key for key, value in rows[0].items() if not isinstance(value, (list, dict))]
    lines = [head, *([_cell(row.get(key)) for key in head] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict) and not any(isinstance(part, dict | list) for part in value.values()):
        return ", ".join(f"{key} {_cell(part)}" for key, part in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(part) for part in value)
    return str(value)


def _json_value(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return str(value)
