"""Updating many rows, each with values of its own, on both databases."""

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import make_clients, make_router, make_zone, moment
from wisp.access.models import Access
from wisp.core import db
from wisp.core.db import session, transaction, update_each


@pytest.fixture
def ids(ctx: Flask) -> list[int]:
    """Clients of one router."""
    return sorted(make_clients(7, make_zone(make_router())))


def rows(ids: list[int]) -> list[tuple[object, ...]]:
    columns = (Access.client_id, Access.error, Access.foreign, Access.applied_address, Access.applied_at)
    return [tuple(row) for row in session().execute(sa.select(*columns).order_by(Access.client_id))]


@pytest.mark.parametrize("at_once", [2, 5000])
def test_each_row_gets_its_own_values(ids: list[int], at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "_AT_ONCE", at_once)
    now = moment("2026-11-30 06:00")
    texts = ["", 'Peña "d\'Or" \\ \n €', "null", "1", "x" * 1000]
    changes = [
        {"client_id": i, "error": text, "foreign": n % 2 == 0, "applied_address": None if n == 1 else f"10.0.0.{n}"}
        for n, (i, text) in enumerate(zip(ids, texts, strict=False))
    ]
    with transaction():
        update_each(Access, changes, by=["client_id"], applied_at=now)
    expected = [(c["client_id"], c["error"], c["foreign"], c["applied_address"], now) for c in changes]
    assert rows(ids) == [*expected, *((i, "", False, None, None) for i in ids[len(texts) :])]


def test_only_rows_that_meet_the_condition_are_changed(ids: list[int]) -> None:
    with transaction() as s:
        s.execute(sa.update(Access).where(Access.client_id == ids[0]).values(error="kept"))
    with transaction():
        changes = [{"client_id": i, "router_id": 1, "error": "new"} for i in ids[:2]]
        update_each(Access, changes, Access.error != "kept", by=["client_id", "router_id"])
        update_each(Access, [{"client_id": ids[2], "router_id": 99, "error": "new"}], by=["client_id", "router_id"])
        update_each(Access, [], by=["client_id"], error="nobody")
    assert [row[1] for row in rows(ids)][:4] == ["kept", "new", "", ""]


def test_what_is_the_same_in_all_rows_is_written_to_each(ids: list[int]) -> None:
    changes = [{"client_id": i, "error": f"{i}", "foreign": True, "applied_address": None} for i in ids[:3]]
    with transaction():
        update_each(Access, changes, by=["client_id"])
    assert [row[1:4] for row in rows(ids)][:4] == [*((f"{i}", True, None) for i in ids[:3]), ("", False, None)]


def test_outside_a_transaction_it_is_refused(ids: list[int]) -> None:
    with pytest.raises(RuntimeError, match="outside"):
        update_each(Access, [{"client_id": ids[0], "error": "x"}], by=["client_id"])
