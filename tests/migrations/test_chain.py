"""Migrations are a chain of files that never change once they are out, and each goes up and down with data in it."""

import hashlib

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from tests.migrations import history
from tests.support.databases import ROOT, Database, migrate

SCRIPTS = ScriptDirectory(str(ROOT / "migrations"))
CHAIN = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]
# What an installed server has run. A file that is released is added here; nothing here is ever changed.
FROZEN = {"0001": "bd38b9e685b21948515bb231eb1f1e48fc00a29587585f5188d592979fa7e24b"}
# Refusing to go down is right where documents or money would be lost: name of the file -> what its error says.
REFUSES_DOWN: dict[str, str] = {}


def counts(database: Database) -> dict[str, int]:
    engine = create_engine(database.url)
    with engine.connect() as connection:
        names = [name for name in inspect(connection).get_table_names() if name != "alembic_version"]
        found = {name: connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one() for name in names}
    engine.dispose()
    return found


def test_released_migrations_are_never_touched() -> None:
    for revision, wanted in FROZEN.items():
        file = next((ROOT / "migrations" / "versions").glob(f"{revision}_*.py"))
        assert hashlib.sha256(file.read_bytes()).hexdigest() == wanted, f"{file.name} has been released: add a new one"


def test_revisions_are_numbered_in_their_order() -> None:
    assert [f"{number:04}" for number in range(1, len(CHAIN) + 1)] == CHAIN
    assert len(SCRIPTS.get_heads()) == 1


def test_each_step_up_and_down_keeps_the_rows_of_the_version_before(database: Database) -> None:
    database.empty()
    migrate(database.url, up="0001")
    engine = create_engine(database.url)
    with engine.begin() as connection:
        history.company_of_0001(connection)
    engine.dispose()
    seen = [counts(database)]
    for revision in CHAIN[1:]:
        migrate(database.url, up=revision)
        now = counts(database)
        lost = {name: (rows, now.get(name)) for name, rows in seen[-1].items() if now.get(name) != rows}
        assert not lost, f"{revision} up changed {lost}"
        seen.append(now)
    for revision, before in zip(reversed(CHAIN[1:]), reversed(seen[:-1]), strict=True):
        name = history.name_of(revision)
        if name in REFUSES_DOWN:
            with pytest.raises(Exception, match=REFUSES_DOWN[name]):
                migrate(database.url, down="-1")
            break
        migrate(database.url, down="-1")
        assert counts(database) == before, f"{revision} down"
