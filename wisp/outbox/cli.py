"""``flask outbox`` and ``flask mail``."""

from typing import Any

import click
from flask.cli import AppGroup

from wisp.core.commands import ROW, command, emit, fail, json_option
from wisp.core.db import session, transaction
from wisp.outbox import delivery, service, texts, trial
from wisp.outbox.models import STATES, Message

group = AppGroup("outbox", help="E-mails: list, deliver, send again.")
mail = AppGroup("mail", help="The mail server.")


def shown(message: Message, client: str | None) -> dict[str, Any]:
    """One e-mail as JSON."""
    return {
        "id": message.id,
        "kind": message.kind,
        "state": message.state,
        "recipient": message.recipient,
        "client": client,
        "subject": message.subject,
        "attempts": message.attempts,
        "next_attempt": message.next_attempt_at,
        "error": message.error,
        "possible_duplicate": message.possible_duplicate,
        "created": message.created_at,
        "sent": message.sent_at,
    }


@group.command("list")
@click.option("--state", type=click.Choice(STATES), default=None, help="Only e-mails in this state.")
@json_option
@command
def list_(state: str | None, as_json: bool) -> None:
    """All e-mails, oldest first."""
    query = service.listing(only=service.Filter(state=state or "")).order_by(Message.id)
    emit([shown(message, client) for message, client in session().execute(query)], as_json)


@group.command("deliver")
@click.option("--all", "everything", is_flag=True, help="Now, whatever pauses the server or an e-mail has.")
@json_option
@command
def deliver(everything: bool, as_json: bool) -> None:
    """Send what is due, in this process."""
    report = delivery.deliver(ignore_pauses=everything, seconds=float("inf"))
    answer = {
        "state": report.state, "sent": report.sent, "failed": report.failed, "later": report.later,
        "unknown": report.unknown, "held": report.held, "error": report.code, "detail": report.detail,
    }  # fmt: skip
    emit(answer, as_json)
    if report.state == "trouble":
        fail(f"{texts.error_text(report.code)} {report.detail}")
    if report.state == "no_server":
        fail(texts.error_text("no_server"))


@group.command("resend")
@click.argument("message_id", metavar="ID", type=ROW, required=False)
@click.option("--failed", is_flag=True, help="All that failed and were not sent again since.")
@json_option
@command
def resend(message_id: int | None, failed: bool, as_json: bool) -> None:
    """Send an e-mail again; a held one is let go."""
    if failed == (message_id is not None):
        raise click.UsageError("give an ID or --failed")
    if message_id is None:
        with transaction():
            count = service.resend_failed()
        emit({"messages": count}, as_json)
        return
    with transaction():
        made = service.resend(message_id)
        answer = shown(made, service.client_code(made))
    emit(answer, as_json)


@mail.command("test")
@click.argument("address")
@json_option
@command
def test(address: str, as_json: bool) -> None:
    """Send a test e-mail to ADDRESS at once and say what the mail server answered."""
    result = trial.send_test(address)
    if not result.ok:
        fail(f"{texts.error_text(result.code)} {result.detail}")
    emit({"ok": True, "address": address}, as_json, "accepted")
