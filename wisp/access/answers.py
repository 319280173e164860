"""Keeping what routers confirmed for single clients, for their history."""

from collections.abc import Mapping

import sqlalchemy as sa

from wisp.access.domain import Outcome
from wisp.access.models import Access, RouterAnswer
from wisp.access.plan import Plan
from wisp.core import clock
from wisp.core.db import session

CONFIRMED = ("written", "unchanged")


def record(plan: Plan, outcomes: Mapping[int, Outcome]) -> None:
    """Write down who has the service back, and who is cut now though no run said so. To be called before what was
    confirmed is stored."""
    confirmed = [
        (subject, outcomes[subject.client_id])
        for subject in plan.subjects
        if subject.client_id in outcomes
        and outcomes[subject.client_id].state in CONFIRMED
        and subject.cut != (outcomes[subject.client_id].wanted == "cut")
    ]
    cut = [subject.client_id for subject, outcome in confirmed if outcome.wanted == "cut"]
    by_no_run = _by_no_run(cut) if cut else set()
    rows = [
        {
            "client_id": subject.client_id, "router_id": plan.router_id, "at": clock.now(), "state": outcome.state,
            "kind": "cut" if outcome.wanted == "cut" else "restored", "detail": outcome.detail,
        }
        for subject, outcome in confirmed
        if outcome.wanted != "cut" or subject.client_id in by_no_run
    ]  # fmt: skip
    if rows:
        session().execute(sa.insert(RouterAnswer), rows)


def _by_no_run(client_ids: list[int]) -> set[int]:
    """Of these clients, those whose suspension is no run's."""
    found: set[int] = set()
    for at in range(0, len(client_ids), 5000):
        some = Access.client_id.in_(client_ids[at : at + 5000])
        found |= set(session().scalars(sa.select(Access.client_id).where(some, Access.reason != "debt")))
    return found
