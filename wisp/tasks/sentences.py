"""Whole sentences: what a run did to a client and why, why a client is suspended, why work waits for a router."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wisp.core import clock
from wisp.routers.texts import cause
from wisp.schedules.domain import Kind
from wisp.tasks import queries, texts
from wisp.tasks.domain import ItemState, Reason
from wisp.tasks.models import RunItem, TaskRun
from wisp.web.formats import format_moment, format_money

DID: dict[str, Any] = {
    Kind.notice: _l("The payment notice was put on the screen: %(amount)s were owed."),
    Kind.cut: _l("The service was cut: %(amount)s were overdue."),
}
LISTED: dict[str, Any] = {
    Kind.notice: _l(
        "On the list of notices, but the router does not apply it, so no notice is shown: %(amount)s are owed."
    ),
    Kind.cut: _l(
        "On the list of the suspended, but the router does not apply it, so the service goes on: "
        "%(amount)s were overdue."
    ),
}
FOUND: dict[str, Any] = {
    Kind.notice: _l("The payment notice was on the screen already: %(amount)s were owed."),
    Kind.cut: _l("The service was cut already: %(amount)s were overdue."),
}
WAITING: dict[str, Any] = {
    Kind.invoices: _l("To be invoiced. %(reason)s."),
    Kind.notice: _l("The payment notice waits for the router: %(amount)s are owed. %(reason)s"),
    Kind.cut: _l("The cut waits for the router: %(amount)s are overdue. %(reason)s"),
}


def history_sentence(item: RunItem, run: TaskRun, kind: str, label: str | None) -> str:
    """What a run did to one client and why, as a sentence."""
    amount = format_money(item.amount)
    reason = texts.reason_text(item.reason, item.detail)
    if item.state == ItemState.SKIPPED:
        return str(_("Left out: %(reason)s.", reason=_lower(reason)))
    if item.state == ItemState.SUPERSEDED:
        return str(_("Not done: %(reason)s.", reason=_lower(reason)))
    if item.state == ItemState.WAITING and item.reason == Reason.AFTER_HOURS:
        return str(_("The cut waits: %(amount)s are overdue. %(reason)s.", amount=amount, reason=reason))
    if item.state == ItemState.WAITING:
        return str(WAITING[Kind(kind)]) % {"amount": amount, "reason": reason or _("The router has not answered yet")}
    if item.state == ItemState.FAILED:
        return str(_("It failed: %(reason)s.", reason=texts.answer_text(item.reason, item.detail) or reason))
    if kind == Kind.invoices:
        return str(_("Invoice %(number)s was created, for %(amount)s.", number=label or "", amount=amount))
    if item.reason == Reason.NOT_ENFORCED:
        return str(LISTED[Kind(kind)]) % {"amount": amount}
    if item.state == ItemState.UNCHANGED:
        return str(FOUND[Kind(kind)]) % {"amount": amount}
    return str(DID[Kind(kind)]) % {"amount": amount}


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def wait_sentence(wait: queries.Wait, timezone: ZoneInfo) -> str:
    """Why work waits for a router, and what happens next."""
    words = []
    if wait.router.online is False and wait.router.offline_since:
        since = format_moment(wait.router.offline_since, timezone)
        words.append(_("It has not answered since %(since)s.", since=since))
    if wait.error or wait.router.error:
        words.append(cause(wait.error or wait.router.error))
    words.append(_("It is applied by itself as soon as the router answers, after reading the debts again."))
    if wait.next_attempt_at and wait.next_attempt_at > clock.now():
        words.append(_("Next attempt: %(moment)s.", moment=format_moment(wait.next_attempt_at, timezone, True)))
    return " ".join(words)


def hours_sentence(opens: datetime | None) -> str:
    """Why cuts wait for the hours in which they are allowed, and what happens then."""
    if opens is None:  # they have begun: the next minute's look applies it
        return str(_("The hours for cuts have begun: it is applied in a moment, after reading the debts again."))
    return str(
        _(
            "Outside the hours for cuts, from %(moment)s on. "
            "It is applied by itself then, after reading the debts again.",
            moment=texts.opening(opens),
        )
    )


def answer(item: RunItem) -> str:
    """The router's answer for one client."""
    words = texts.answer_text(item.reason, item.detail)
    if words or item.state not in (ItemState.DONE, ItemState.UNCHANGED):
        return words
    return str(_("on the list") if item.state == ItemState.DONE else _("was on the list already"))
