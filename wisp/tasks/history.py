"""What the history of a client says of runs: cuts, notices, and why an invoice run left it out."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from wisp.clients.models import Client
from wisp.clients.timeline import Said, Source, add, columns
from wisp.core.db import session
from wisp.core.permissions import Permission
from wisp.invoices.models import Invoice
from wisp.schedules.domain import Kind
from wisp.schedules.models import PeriodicTask
from wisp.tasks import sentences, texts
from wisp.tasks.domain import ItemState
from wisp.tasks.models import RunItem, TaskRun


def _rows(client: Client) -> list[sa.Select[Any]]:
    """An invoice that was issued tells of itself."""
    kind = sa.case((PeriodicTask.kind == Kind.invoices.value, "invoice"), else_=PeriodicTask.kind)
    told = sa.or_(PeriodicTask.kind != Kind.invoices.value, RunItem.state != ItemState.DONE.value)
    query = (
        sa.select(*columns("run", kind, RunItem.updated_at, RunItem.run_id, actor=TaskRun.actor, run=RunItem.run_id,
                           amount=RunItem.amount))
        .join(TaskRun, TaskRun.id == RunItem.run_id)
        .join(PeriodicTask, PeriodicTask.id == TaskRun.task_id)
    )  # fmt: skip
    return [query.where(RunItem.client_id == client.id, told)]


def _words(client: Client, rows: Sequence[Any]) -> list[Said]:
    query = (
        sa.select(RunItem, TaskRun, PeriodicTask.kind, Invoice.label)
        .join(TaskRun, TaskRun.id == RunItem.run_id)
        .join(PeriodicTask, PeriodicTask.id == TaskRun.task_id)
        .outerjoin(Invoice, Invoice.id == RunItem.invoice_id)
        .where(RunItem.client_id == client.id, RunItem.run_id.in_([row.ref for row in rows]))
    )
    found = {item.run_id: (item, run, kind, label) for item, run, kind, label in session().execute(query)}
    return [_said(*found[row.ref]) for row in rows]


def _said(item: RunItem, run: TaskRun, kind: str, label: str | None) -> Said:
    text = sentences.history_sentence(item, run, kind, label)
    answer = texts.answer_text(item.reason, item.detail) if item.state == ItemState.DONE else ""
    state = texts.item_state(kind, item.state, item.reason)
    return Said(f"{text} {answer}".strip(), texts.item_look(item.state, item.reason), state)


def register() -> None:
    """Add this source."""
    add(Source("run", _rows, _words, Permission.PERIODIC_TASKS_VIEW))
