"""Races for the last administrator, a link and a code."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.staff import PASSWORD, make_staff
from wisp.core import clock, crypto
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.permissions import Role
from wisp.staff import changes, links, service, totp
from wisp.staff.models import StaffLink, StaffUser
from wisp.staff.service import Manager


def at_once(app: Flask, works: list[Callable[[], Any]]) -> list[Any]:
    """Call all in threads started together, each in a transaction of its own; results, or the code of the refusal."""
    gate = threading.Barrier(len(works))

    def one(work: Callable[[], Any]) -> Any:
        with app.app_context():
            gate.wait(timeout=30)
            try:
                with transaction():
                    return work()
            except Refused as refused:
                return refused.code

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


def administrators(app: Flask) -> list[str]:
    with app.app_context():
        query = sa.select(StaffUser.email).where(StaffUser.role == Role.ADMIN, StaffUser.active)
        return list(session().scalars(query))


@pytest.mark.parametrize("how", ["demote", "deactivate"])
@pytest.mark.parametrize("count", [2, 4])
def test_administrators_who_remove_each_other_at_once_leave_one(app: Flask, how: str, count: int) -> None:
    people = [make_staff(app, f"a{number}@example.com") for number in range(count)]
    with app.app_context():
        ids = [service.find(email).id for email in people]

    def remove(by: int, other: int, email: str) -> Callable[[], Any]:
        manager = Manager(user_id=by)
        if how == "demote":
            return lambda: changes.edit(other, email, "X", "cashier", manager) and "done"
        return lambda: changes.set_active(other, False, manager) and "done"

    works = [remove(ids[n], ids[(n + 1) % count], people[(n + 1) % count]) for n in range(count)]
    results = at_once(app, works)
    left = administrators(app)
    assert left, results
    assert results.count("done") == count - len(left)


def test_the_command_line_and_a_page_at_once_leave_one(app: Flask) -> None:
    make_staff(app, "a@example.com")
    make_staff(app, "b@example.com")
    with app.app_context():
        first = service.find("a@example.com").id
        second = service.find("b@example.com").id
    works: list[Callable[[], Any]] = [
        lambda: service.set_active("a@example.com", False) and "done",
        lambda: changes.set_active(second, False, Manager(user_id=first)) and "done",
    ]
    results = at_once(app, works)
    assert len(administrators(app)) == 1, results


def test_a_link_used_twice_at_once_sets_one_password(app: Flask) -> None:
    make_staff(app)
    with app.app_context(), transaction():
        links.send(service.find("ana@example.com"), links.RESET)
        token = crypto.sign(links.PURPOSE, session().scalars(sa.select(StaffLink.nonce)).one() or "")
    works: list[Callable[[], Any]] = [
        lambda n=n: links.use(token, f"another password {n}") and "done"  # type: ignore[misc]
        for n in range(4)
    ]
    assert sorted(at_once(app, works)) == ["done"] + ["staff.link"] * 3


def test_a_code_used_twice_at_once_opens_once(app: Flask) -> None:
    make_staff(app)
    secret, now = totp.new_secret(), clock.now()
    with app.app_context(), clock.frozen(now):
        user_id = service.find("ana@example.com").id
        with transaction():
            spare = totp.enable(user_id, secret, pyotp.TOTP(secret).at(now), PASSWORD)[0]
    with clock.frozen(clock.now().replace(year=now.year + 1)):
        code = pyotp.TOTP(secret).at(clock.now())
        for typed in (code, spare):
            found = at_once(app, [lambda typed=typed: totp.check(user_id, typed)] * 4)  # type: ignore[misc]
            assert sorted(found) == [False, False, False, True]
