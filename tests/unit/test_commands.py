"""What the commands share."""

import json
from datetime import UTC, date, datetime

import click
import pytest
from click.testing import CliRunner
from sqlalchemy.exc import OperationalError

from wisp.core import audit
from wisp.core.commands import command, emit, fail, json_option
from wisp.core.errors import Refused, messages

ROWS = [
    {"name": "Ana", "active": True, "since": date(2026, 1, 2), "extra": [1, 2]},
    {"name": "Ñandú", "active": False, "since": None, "extra": []},
]


@pytest.fixture
def group() -> click.Group:
    """Three commands."""

    @click.group()
    def made() -> None:
        pass

    @made.command("list")
    @json_option
    @command
    def list_(as_json: bool) -> None:
        emit(ROWS, as_json)

    @made.command("refuse")
    @command
    def refuse() -> None:
        raise Refused("tests.no", client="C1")

    @made.command("who")
    @command
    def who() -> None:
        click.echo(audit.actor().name)

    @made.command("fail")
    @command
    def failing() -> None:
        fail("two\nlines")

    return made


def test_json_is_one_document_with_accents(group: click.Group) -> None:
    result = CliRunner().invoke(group, ["list", "--json"])
    assert "Ñandú" in result.stdout
    assert json.loads(result.stdout)[0]["since"] == "2026-01-02"


def test_without_json_it_is_a_table(group: click.Group) -> None:
    lines = CliRunner().invoke(group, ["list"]).stdout.splitlines()
    assert lines == ["name   active  since", "Ana    yes     2026-01-02", "Ñandú  no      -"]


def test_a_refusal_is_its_sentence_and_exit_1(group: click.Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(messages, "tests.no", "not %(client)s")
    result = CliRunner().invoke(group, ["refuse"])
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "not C1\n")


def test_a_refusal_writes_several_values_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(messages, "tests.no", "not %(kinds)s")
    assert str(Refused("tests.no", kinds=["notice", "cut"])) == "not notice, cut"


def test_trouble_with_the_database_is_one_line() -> None:
    @click.command()
    @command
    def asking() -> None:
        raise OperationalError("SELECT 1", {}, RuntimeError("no such table: company\nand more"))

    result = CliRunner().invoke(asking)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "no such table: company" in result.stderr
    assert "flask db upgrade" in result.stderr


def test_the_reason_is_one_line(group: click.Group) -> None:
    assert CliRunner().invoke(group, ["fail"]).stderr == "two lines\n"


def test_the_actor_is_the_system_user_and_does_not_stay(group: click.Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "operador")
    assert CliRunner().invoke(group, ["who"]).stdout == "cli:operador\n"
    CliRunner().invoke(group, ["refuse"])
    assert audit.actor() == audit.SYSTEM


def test_moments_keep_their_offset(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"at": datetime(2026, 1, 2, 3, tzinfo=UTC)}, True)
    assert json.loads(capsys.readouterr().out) == {"at": "2026-01-02T03:00:00+00:00"}


def test_what_belongs_together_is_printed_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"code": "A", "next": {"cut": "22 08:00", "notice": None}, "free": False}, False)
    assert capsys.readouterr().out == "code: A\nnext: cut 22 08:00, notice -\nfree: no\n"
