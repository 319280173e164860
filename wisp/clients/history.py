"""What the history of a client says of its file: edits, moves, changes of billing, and the e-mails to it."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _

from wisp.clients.models import Client
from wisp.clients.timeline import Said, Source, add, columns
from wisp.core.audit import AuditEntry
from wisp.core.db import session
from wisp.outbox.models import Message
from wisp.outbox.texts import KINDS, STATES
from wisp.staff import audit_texts
from wisp.staff.texts import ACTIONS

HOLDS = {
    "client.suspend": "suspended", "client.pause": "paused", "client.reactivate": "reactivated",
    "client.pause_end": "reactivated",
}  # fmt: skip
"""Actions on a client that are more than an edit."""
OTHERS = ("promise.grant", "promise.end", "portal.confirm")
"""Actions of which another source tells."""
LOOKS = {"sent": "success", "failed": "danger", "held": "warning"}


def _edits(client: Client) -> list[sa.Select[Any]]:
    targets = [f"client:{client.code}"]
    if client.schedule_id is not None:
        targets.append(f"schedule:{client.schedule_id}")
    kind = sa.case(HOLDS, value=AuditEntry.action, else_="edit")
    query = sa.select(*columns("edit", kind, AuditEntry.at, AuditEntry.id, actor=AuditEntry.actor))
    return [query.where(AuditEntry.target.in_(targets), AuditEntry.action.not_in(OTHERS))]


def _edit_words(client: Client, rows: Sequence[Any]) -> list[Said]:
    query = sa.select(AuditEntry).where(AuditEntry.id.in_([row.ref for row in rows]))
    entries = {entry.id: entry for entry in session().scalars(query)}
    return [Said(edit_sentence(entries[row.ref])) for row in rows]


def edit_sentence(entry: AuditEntry) -> str:
    """What was done to a client's file: the action, and what changed from what to what."""
    action = str(ACTIONS.get(entry.action, entry.action))
    if entry.action == "client.add":
        return action
    changes = [
        _("%(field)s: %(before)s → %(after)s", field=field, before=before or "–", after=after or "–")
        if entry.before
        else f"{field}: {after}"
        for field, before, after in audit_texts.differences(entry)
        if before or after
    ]
    return f"{action} · {'; '.join(changes)}" if changes else action


def _mails(client: Client) -> list[sa.Select[Any]]:
    at = sa.func.coalesce(Message.sent_at, Message.created_at, type_=Message.created_at.type)
    detail = Message.kind + "|" + Message.state + "|" + Message.recipient + "|" + Message.subject
    query = sa.select(*columns("mail", "mail", at, Message.id, payment=Message.payment_id, run=Message.run_id,
                               actor="system", detail=detail))  # fmt: skip
    return [query.where(Message.client_id == client.id)]


def _mail_words(client: Client, rows: Sequence[Any]) -> list[Said]:
    said = []
    for row in rows:
        kind, state, recipient, subject = row.detail.split("|", 3)
        what = f"“{subject}”" if subject else KINDS.get(kind, kind)
        text = _("E-mail to %(recipient)s: %(what)s", recipient=recipient, what=what)
        said.append(Said(str(text), LOOKS.get(state, "pending"), str(STATES[state])))
    return said


def register() -> None:
    """Add these sources."""
    add(Source("edit", _edits, _edit_words))
    add(Source("mail", _mails, _mail_words))
