"""A migration that rebuilds a table keeps the rows of the tables that point to it, or rolls back as a whole."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.support import databases
from tests.support.databases import Database, migrate

HEAD = '''
"""A later change."""
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("parent_of_test", recreate="{recreate}") as batch_op:
        batch_op.add_column(sa.Column("extra", sa.Integer(), nullable=True))
    {then}


def downgrade() -> None:
    with op.batch_alter_table("parent_of_test", recreate="{recreate}") as batch_op:
        batch_op.drop_column("extra")
'''


@pytest.fixture
def parent_and_child(database: Database) -> Database:
    """Two tables, with a row in each, the child's with ON DELETE CASCADE."""
    database.fresh()
    engine = create_engine(database.url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE parent_of_test (id INTEGER PRIMARY KEY)"))
        connection.execute(
            text("CREATE TABLE child_of_test (id INTEGER REFERENCES parent_of_test (id) ON DELETE CASCADE)")
        )
        connection.execute(text("INSERT INTO parent_of_test (id) VALUES (1)"))
        connection.execute(text("INSERT INTO child_of_test (id) VALUES (1)"))
    engine.dispose()
    return database


def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database, then: str = "pass") -> None:
    """Put a later migration beside the real ones, in a copy of their folder."""
    folder = tmp_path / "migrations"
    shutil.copytree(databases.ROOT / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    head = max(file.name.split("_")[0] for file in (folder / "versions").glob("*.py"))
    recreate = "always" if database.kind == "sqlite" else "auto"
    (folder / "versions" / "9999_later.py").write_text(HEAD.format(head=head, recreate=recreate, then=then))
    monkeypatch.setattr(databases, "ROOT", tmp_path)


def rows(database: Database) -> tuple[list[str], int]:
    """The parent's columns, and how many children there are."""
    engine = create_engine(database.url)
    with engine.connect() as connection:
        columns = [column["name"] for column in inspect(connection).get_columns("parent_of_test")]
        children = connection.execute(text("SELECT count(*) FROM child_of_test")).scalar_one()
    engine.dispose()
    return columns, children


def test_child_rows_survive_a_rebuild(
    parent_and_child: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(tmp_path, monkeypatch, parent_and_child)
    migrate(parent_and_child.url, up="head")
    assert rows(parent_and_child) == (["id", "extra"], 1)
    migrate(parent_and_child.url, down="-1")
    assert rows(parent_and_child) == (["id"], 1)


def test_a_migration_that_fails_half_way_changes_nothing(
    parent_and_child: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(tmp_path, monkeypatch, parent_and_child, then='op.execute("SELECT nonsense FROM nowhere")')
    with pytest.raises(Exception, match="nowhere"):
        migrate(parent_and_child.url, up="head")
    assert rows(parent_and_child) == (["id"], 1)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_rows_that_would_point_to_nothing_stop_it(
    parent_and_child: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(tmp_path, monkeypatch, parent_and_child, then='op.execute("DELETE FROM parent_of_test")')
    with pytest.raises(RuntimeError, match="point to nothing"):
        migrate(parent_and_child.url, up="head")
    assert rows(parent_and_child) == (["id"], 1)
