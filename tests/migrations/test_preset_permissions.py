"""New permissions reach whoever has what the role brought, and nobody whose permissions were edited by hand."""

import importlib.util

from sqlalchemy import Connection, create_engine, text

from tests.migrations.history import VERSIONS, revision, row
from tests.support.databases import Database, migrate

THIS, BEFORE = revision("preset_permissions")
_spec = importlib.util.spec_from_file_location("preset_permissions", next(VERSIONS.glob("*_preset_permissions.py")))
assert _spec
assert _spec.loader
script = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)


def held(connection: Connection) -> dict[str, set[str]]:
    rows = connection.execute(
        text("SELECT u.name, g.permission FROM staff_user u JOIN staff_grant g ON g.staff_id = u.id")
    )
    found: dict[str, set[str]] = {}
    for name, permission in rows:
        found.setdefault(name, set()).add(permission)
    return found


def test_only_presets_grow(database: Database) -> None:
    people = {
        "finance": ("finance", script.FINANCE),
        "support": ("support", script.SUPPORT),
        "finance less": ("finance", script.FINANCE - {"bulk:use"}),
        "support more": ("support", script.SUPPORT | {"audit:view"}),
        "cashier": ("cashier", {"clients:view", "invoices:view", "payments:register"}),
    }
    before = {name: set(permissions) for name, (_role, permissions) in people.items()}
    database.empty()
    migrate(database.url, up=BEFORE)
    engine = create_engine(database.url)
    with engine.begin() as connection:
        for name, (role, permissions) in people.items():
            staff_id = row(connection, "staff_user", email=f"{len(name)}{role}@example.com", name=name, role=role)
            for permission in permissions:
                row(connection, "staff_grant", staff_id=staff_id, permission=permission)
    migrate(database.url, up=THIS)
    with engine.connect() as connection:
        assert held(connection) == before | {
            "finance": before["finance"] | {"clients:suspend", "reports:view"},
            "support": before["support"] | {"clients:suspend"},
        }
    migrate(database.url, down=BEFORE)
    with engine.connect() as connection:
        assert held(connection) == before
    engine.dispose()
