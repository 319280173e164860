"""What people read about periodic tasks: names of kinds and states, a sentence for each reason, refusals."""

import re
from datetime import date, datetime, timedelta
from typing import Any

from babel import dates
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wisp.core import clock
from wisp.core.errors import messages
from wisp.routers.texts import cause
from wisp.schedules.domain import Kind
from wisp.tasks.domain import ItemState, Reason, RunState
from wisp.web.formats import format_day, locale

KINDS: dict[str, Any] = {
    Kind.invoices: _l("Invoice creation"),
    Kind.notice: _l("Payment notices"),
    Kind.cut: _l("Service cut"),
}
ICONS = {Kind.invoices: "file-invoice", Kind.notice: "bell", Kind.cut: "wifi-off"}

STATES: dict[str, Any] = {
    "pending": _l("Pending"),
    "success": _l("Successful"),
    "error": _l("Error"),
    "missed": _l("Not applied"),
    "inactive": _l("Inactive"),
}
STATE_LOOKS = {"pending": "pending", "success": "success", "error": "danger", "missed": "missed", "inactive": "off"}

RUN_STATES: dict[str, Any] = {
    RunState.QUEUED: _l("In the queue"),
    RunState.RUNNING: _l("Running"),
    RunState.HELD: _l("Held"),
    RunState.ERROR: _l("Error"),
    RunState.SUCCESS: _l("Successful"),
    RunState.UNDONE: _l("Undone"),
}
RUN_LOOKS = {
    RunState.QUEUED: "pending",
    RunState.RUNNING: "running",
    RunState.HELD: "waiting",
    RunState.ERROR: "danger",
    RunState.SUCCESS: "success",
    RunState.UNDONE: "off",
}

TRIGGERS: dict[str, Any] = {
    "schedule": _l("Automatic"),
    "late": _l("Automatic, late"),
    "manual": _l("By hand"),
    "undo": _l("Undo"),
    "followup": _l("After a broken promise"),
}

DONE: dict[str, Any] = {Kind.invoices: _l("Invoiced"), Kind.notice: _l("Notified"), Kind.cut: _l("Was cut")}
DONE_MANY: dict[str, Any] = {
    Kind.invoices: _l("Clients invoiced"),
    Kind.notice: _l("Clients notified"),
    Kind.cut: _l("Clients cut"),
}
UNCHANGED_MANY: dict[str, Any] = {
    Kind.invoices: _l("Clients already invoiced"),
    Kind.notice: _l("Clients who already had the notice"),
    Kind.cut: _l("Clients already cut"),
}
UNCHANGED: dict[str, Any] = {
    Kind.invoices: _l("Already invoiced"),
    Kind.notice: _l("Already had the notice"),
    Kind.cut: _l("Already cut"),
}
ITEM_STATES: dict[str, Any] = {
    ItemState.WAITING: _l("Waiting"),
    ItemState.FAILED: _l("Failed"),
    ItemState.SKIPPED: _l("Left out"),
    ItemState.SUPERSEDED: _l("No longer needed"),
}
ITEM_LOOKS = {
    ItemState.DONE: "success",
    ItemState.UNCHANGED: "muted",
    ItemState.WAITING: "waiting",
    ItemState.FAILED: "danger",
    ItemState.SKIPPED: "off",
    ItemState.SUPERSEDED: "muted",
}

REASONS: dict[str, Any] = {
    Reason.ALREADY_INVOICED: _l("Already invoiced for this month"),
    Reason.NOTHING_OWED: _l("Owes nothing"),
    Reason.FREE: _l("Free service"),
    Reason.NO_PRICE: _l("The plan has no price"),
    Reason.EXEMPT: _l("Exempt this month: the invoice was voided without invoicing again"),
    Reason.PAUSED: _l("Temporary pause"),
    Reason.SUSPENDED: _l("Suspended: the settings say not to invoice suspended clients"),
    Reason.SUSPENDED_BY_HAND: _l("Suspended by hand"),
    Reason.NOT_INSTALLED: _l("Not installed yet"),
    Reason.ALREADY_BILLED: _l("The period was billed already"),
    Reason.GAP: _l("With the days before the period that no invoice covers"),
    Reason.GAP_LEFT: _l("Without the days before the period that no invoice covers"),
    Reason.SHORTENED: _l("The period begins later, after what was billed already"),
    Reason.NOT_DUE: _l("The invoices are not overdue yet"),
    Reason.EXCLUDED: _l("Excluded from this by its settings"),
    Reason.PROMISE: _l("Has a payment promise"),
    Reason.ALREADY_CUT: _l("Already cut"),
    Reason.ALREADY_NOTIFIED: _l("Already had the notice"),
    Reason.ORDERED: _l("Already ordered, waits for the router"),
    Reason.CUT_ORDERED: _l("The cut is ordered and waits for the router"),
    Reason.HELD_OUT: _l("Held out by the person who ordered the run"),
    Reason.CHANGED: _l("Changed since the simulation"),
    Reason.AFTER_HOURS: _l("Outside the hours for cuts"),
    Reason.ROUTER_OFF: _l("The router does not answer"),
    Reason.ROUTER_REFUSED: _l("The router did not take it"),
    Reason.NO_ADDRESS: _l("The client has no address to put on the list"),
    Reason.CANCELLED: _l("Cancelled before the router was reached"),
    Reason.REACTIVATED: _l("Given the service back by hand"),
    Reason.PAID: _l("No longer owed when the router was reached"),
    Reason.TAKEN_OVER: _l("A later run took it over"),
    Reason.FOREIGN: _l("Another entry, not ours, already holds the address"),
    Reason.NOT_ENFORCED: _l("On the list; the router does not apply it"),
    Reason.ERROR: _l("It could not be written"),
}
"""The short form, for counts; ``reason_text`` adds the argument."""

DATED: dict[str, Any] = {
    Reason.ALREADY_BILLED: _l("Already billed through %(day)s"),
    Reason.GAP: _l("With days without an invoice, from %(day)s on"),
    Reason.GAP_LEFT: _l("Days without an invoice, from %(day)s on, are not charged"),
    Reason.SHORTENED: _l("Invoiced from %(day)s on: what came before was billed already"),
    Reason.NOT_DUE: _l("Due on %(day)s"),
}
PROBLEMS: dict[str, Any] = {
    "no_address": _l("The client has no address to put on the list"),
    "not_ipv4": _l("The client's address is not an IPv4 address"),
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

REFUSALS: dict[str, Any] = {
    "tasks.unknown": _l("There is no periodic task %(id)s."),
    "tasks.month": _l("%(month)s cannot be applied: only the present month, a missed one, or next month when near."),
    "tasks.plan": _l("That simulation is no longer there. Nothing was applied: simulate again."),
    "tasks.try_again": _l("The task was just ending another run. Nothing was ordered: try again."),
    "tasks.own_scope": _l(
        "Task %(id)s cannot be applied to clients with own billing: only a zone's notices and cuts can."
    ),
    "tasks.other_run": _l(
        "The task has an open run over other clients (run %(run)s). Nothing was ordered: try again when it has ended."
    ),
    "tasks.hold": _l("At most %(maximum)s clients can be held out of one run."),
    "tasks.no_owner": _l("This task belongs to no zone and no client any more."),
    "runs.unknown": _l("There is no run %(id)s."),
    "schedules.moment": _l("“%(text)s” is not a day and an hour: write them like 15 12:00."),
    "schedules.timezone": _l("There is no time zone “%(name)s”."),
    "schedules.billing_type": _l("“%(value)s” is not a type of billing: it is prepaid or postpaid."),
    "schedules.due_day": _l("The payment day goes from 1 to 31, not %(value)s."),
    "schedules.incomplete": _l("A billing schedule needs the day and hour of its three tasks."),
    "schedules.needs_choice": _l(
        "These days have already gone by this month: %(kinds)s. "
        "Choose whether to apply this month on saving or to start next month."
    ),
    "schedules.may_not_apply": _l(
        "This would apply a task at once, which needs the permission to apply periodic tasks. "
        "Nothing was changed: choose a later moment, or start next month."
    ),
    "schedules.cut_on_due_day": _l(
        "The cut cannot be on the payment day (%(day)s), which is still in time: it would find nobody. "
        "Set it to day %(proposed)s or later."
    ),
    "schedules.this_month": _l("“%(value)s” is not a choice for this month: it is run or skip."),
    "billing.gap": _l(
        "Days without an invoice: up to %(days)s, of %(clients)s clients, %(amount)s in all. "
        "Choose whether the next invoice charges them."
    ),
    "billing.gap_choice": _l("“%(value)s” is not a choice for days without an invoice: it is bill or waive."),
    "invoices.already_void": _l("The invoice %(number)s is void already."),
    "invoices.void_reason": _l("Voiding an invoice needs a reason."),
    "invoices.unknown": _l("There is no invoice %(number)s."),
}


def register() -> None:
    """Let the refusals of tasks and schedules be shown as sentences."""
    messages.update(REFUSALS)


def item_state(kind: str, state: str, reason: str = "") -> str:
    """The state of one client in a run, in the words of its kind: "Cortado", "Ya facturado", "Espera"."""
    if reason == Reason.NOT_ENFORCED:
        return str(_("On the list"))
    if state == ItemState.DONE:
        return str(DONE[kind])
    if state == ItemState.UNCHANGED:
        return str(UNCHANGED[kind])
    return str(ITEM_STATES[state])


def item_look(state: str, reason: str) -> str:
    """The look of that state."""
    return "warning" if reason == Reason.NOT_ENFORCED else ITEM_LOOKS[ItemState(state)]


def reason_text(reason: str, detail: str = "") -> str:
    """The sentence of a reason with its argument: "vence el 20 nov 2026", the likely cause where a router is off."""
    if not reason:
        return ""
    if reason in DATED and _DAY.fullmatch(detail[:10]):
        return str(DATED[reason]) % {"day": format_day(date.fromisoformat(detail[:10]))}
    if reason == Reason.TAKEN_OVER and detail:
        return str(_("Run %(run)s took it over", run=detail))
    if reason == Reason.AFTER_HOURS and detail:
        return str(_("Outside the hours for cuts, from %(moment)s on", moment=opening(datetime.fromisoformat(detail))))
    if reason == Reason.ROUTER_OFF and detail:
        return f"{REASONS[reason]}. {cause(detail)}"
    return str(REASONS.get(reason, reason))


def opening(moment: datetime) -> str:
    """When the hours for cuts begin, a local moment, as people say it: "lunes 08:00" within a week, else the date."""
    near = moment - clock.now() < timedelta(days=6)
    day = dates.format_date(moment, "EEEE", locale=locale()) if near else format_day(moment.date())
    return f"{day} {moment:%H:%M}"


def item_reason(kind: str, state: str, reason: str, detail: str) -> str:
    """Why a run acted on a client, or did not."""
    if not reason and state != ItemState.SKIPPED and kind != Kind.invoices:
        return str(_("Owes overdue invoices") if kind == Kind.cut else _("Owes"))
    return reason_text(reason, "" if reason == Reason.ROUTER_OFF else detail)


ANSWERED = (Reason.ROUTER_REFUSED, Reason.ERROR, Reason.FOREIGN, Reason.NOT_ENFORCED, Reason.NONE)


def answer_text(reason: str, detail: str) -> str:
    """What the router answered for one client, where that is not a code of ours: its own words, or what is wrong."""
    if reason not in ANSWERED or not detail:
        return ""
    if detail in PROBLEMS:
        return str(PROBLEMS[detail])
    what, _colon, rest = detail.partition(": ")
    if what == "shared":
        return str(_("The address is held for another client: %(code)s", code=rest))
    if what == "foreign":
        return str(_("An entry of somebody else holds the address on the list %(list)s", list=rest))
    return detail


EVENTS: dict[str, tuple[str, str]] = {
    "invoice": ("file-invoice", "info"), "void": ("file-x", "muted"), "credit": ("cash", "ok"),
    "mail": ("mail", "info"),
    "notice": ("bell", "warn"), "seen": ("eye", "muted"), "cut": ("wifi-off", "bad"), "reactivated": ("wifi", "ok"),
    "suspended": ("wifi-off", "bad"), "paused": ("player-pause", "warn"), "payment": ("cash", "ok"),
    "payment_void": ("cash", "muted"), "report": ("cash", "warn"), "promise": ("calendar-event", "info"),
    "promise_broken": ("calendar-event", "bad"), "edit": ("pencil", "muted"),
}  # fmt: skip
"""Icon and colour of what a client's history tells."""


def actor_text(actor: str) -> str:
    """Who ordered something, as people say it."""
    who, _colon, name = actor.partition(":")
    if who == "router":
        return name
    if actor == "client":
        return str(_("the client"))
    if who == "staff":
        return name
    if who == "cli":
        return str(_("command line (%(user)s)", user=name))
    return str(_("the program itself"))
