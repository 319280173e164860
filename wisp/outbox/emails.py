"""The e-mails that need nothing but their row's ``data``: test, payment receipt, alerts. What ``data`` holds is said at
each; a key that is missing is left out of the text.

Tasks in an alert are dictionaries ``{"kind": "invoices" | "notice" | "cut", "zone": name, "client": code (of a client
with own billing), "clients": how many wait, "codes": the first of their codes}``.
"""

from typing import Any

from babel import Locale
from babel.lists import format_list
from flask import current_app
from flask_babel import gettext as _

from wisp.core.locales import language_or
from wisp.outbox.causes import cause
from wisp.outbox.kinds import Rendered, register_kind
from wisp.outbox.models import Message
from wisp.outbox.rendering import Formats, compose
from wisp.outbox.texts import error_text

CODES_SHOWN = 10
NAMES_SHOWN = 4
Facts = list[tuple[str, Any]]


def test(message: Message) -> Rendered:
    """``server``: the mail server's name."""
    server = (message.data or {}).get("server", "")
    return compose("test", message, _("Test e-mail"), server=server)


def receipt(message: Message) -> Rendered:
    """``name``, ``amount`` and ``balance`` (minor units; a negative balance is a credit), ``currency``, ``paid_on``
    (ISO date), ``method`` (of Payment), ``reference``, ``number``: of the payment."""
    data = message.data or {}
    values = _Formats(message)
    balance = data.get("balance")
    facts: Facts = [
        (_("Amount"), values.money("amount")),
        (_("Date"), values.day("paid_on")),
        (_("Method"), _method(data.get("method", ""))),
        (_("Reference"), data.get("reference")),
        (_("Receipt number"), data.get("number")),
    ]
    if balance is not None and balance < 0:
        facts.append((_("Credit for your next invoice"), values.amount(-balance)))
    elif balance is not None:
        facts.append((_("Balance due"), values.amount(balance)))
    subject = _("Payment receipt: %(amount)s", amount=values.money("amount"))
    return compose("receipt", message, subject, name=data.get("name", ""), facts=facts)


def router_waiting(message: Message) -> Rendered:
    """Work waits for a router. ``router``, ``since`` (ISO moment), ``error`` (code of the gateway), ``detail``,
    ``tasks``; ``more``: the same of other routers."""
    routers = _routers(message)
    zones = [task["zone"] for data in routers for task in data.get("tasks", []) if task.get("zone")]
    named = _names(message, [data.get("router", "") for data in routers])
    if zones:
        waits = _names(message, zones)
        subject = _("Cannot be reached: router %(router)s; waiting: zone %(zones)s", router=named, zones=waits)
    else:
        subject = _("Cannot be reached: router %(router)s", router=named)
    return compose(
        "alert", message, subject,
        lead=_("These tasks wait because their router cannot be reached."),
        sections=[(_off_facts(message, data), _tasks(data)) for data in routers],
        next=_(
            "Nothing is lost: it is tried again by itself, after reading the debt once more, as soon as the router "
            "answers. You can also press “Apply now” on the tasks page."
        ),
        link=_link("/tareas-periodicas/"),
    )  # fmt: skip


def router_off(message: Message) -> Rendered:
    """A router is off longer than the set minutes. ``router``, ``host``, ``since``, ``minutes``, ``error``,
    ``detail``; ``more``: the same of other routers."""
    routers = _routers(message)
    named = _names(message, [data.get("router", "") for data in routers])
    return compose(
        "alert", message, _("Does not answer: router %(router)s", router=named),
        lead=_("This router cannot be reached.") if len(routers) == 1 else _("These routers cannot be reached."),
        sections=[(_off_facts(message, data), []) for data in routers],
        next=_("You will get another e-mail when it answers again."),
        link=_link("/router/"),
    )  # fmt: skip


def router_back(message: Message) -> Rendered:
    """The outage is over. ``router``, ``since``, ``until``; what was then applied: ``cut``, ``notified``, ``restored``
    (clients put on, put on, taken off), ``lapsed`` (no longer due: paid meanwhile), ``failed``, ``held`` (cuts that
    wait for the hours in which they are allowed); ``tasks``. Where none of these happened, nothing had waited."""
    data, values = message.data or {}, _Formats(message)
    waited = any(data.get(name) for name in ("cut", "notified", "restored", "lapsed", "failed", "held"))
    facts: Facts = [
        (_("Router"), data.get("router")),
        (_("Not reached since"), values.moment("since")),
        (_("Answers since"), values.moment("until")),
        (_("Clients cut"), data.get("cut")),
        (_("Clients notified"), data.get("notified")),
        (
            _("Of these, on a list that the router does not apply: they go on browsing"),
            data.get("not_enforced") or None,
        ),
        (_("Clients given back the service"), data.get("restored")),
        (_("No longer due"), data.get("lapsed")),
        (_("Failed"), data.get("failed")),
        (_("Cuts that wait for the hours of cuts"), data.get("held") or None),
    ]
    lead = _("The router answers again. What waited for it was applied.")
    if not waited:
        facts, lead = facts[:3], _("The router answers again. Nothing had waited for it.")
    return compose(
        "alert", message, _("Answers again: router %(router)s", router=data.get("router", "")),
        lead=lead,
        sections=[(facts, [])],
        next=_after_back(data),
        link=_link("/tareas-periodicas/"),
    )  # fmt: skip


def _after_back(data: dict[str, Any]) -> str:
    """What is left to do once a router is back."""
    words = []
    if data.get("failed"):
        words.append(_("What failed is on the page of its client, with the reason."))
    if data.get("not_enforced"):
        words.append(_("Install the firewall rules: router → Tools → Firewall rules."))
    return " ".join(words)


def run_failed(message: Message) -> Rendered:
    """A run ended with an error that is not a router's. ``kind``, ``zone`` or ``client``, ``month`` (ISO date),
    ``failed`` (clients), ``codes``, ``error``; the run is the message's."""
    data, values = message.data or {}, _Formats(message)
    task = task_name(data.get("kind", ""))
    where = data.get("zone") or data.get("client") or ""
    facts: Facts = [
        (_("Billing month"), values.month("month")),
        (_("Clients that failed"), data.get("failed")),
        (_("Client codes"), _codes(data.get("codes", []), data.get("failed"))),
        (_("Error"), data.get("error")),
    ]
    return compose(
        "alert", message, _("%(task)s ended with an error: %(where)s", task=task, where=where),
        lead=_("The task “%(task)s” of %(where)s ended with an error.", task=task, where=where),
        sections=[(facts, [])],
        next=_("What was done is done and is not repeated; the rest can be applied again from the tasks page."),
        link=_link("/tareas-periodicas/"),
    )  # fmt: skip


def task_name(kind: str) -> str:
    """The name of a periodic task's kind as it stands on the tasks page."""
    names: dict[str, str] = {"invoices": _("Invoice creation"), "notice": _("Payment notices"), "cut": _("Service cut")}
    return names.get(kind, kind)


def _method(code: str) -> str:
    names: dict[str, str] = {
        "cash": _("Cash"), "transfer": _("Bank transfer"), "card": _("Card"), "deposit": _("Bank deposit"),
        "credit": _("Credit"), "other": _("Other"),
    }  # fmt: skip
    return names.get(code, code)


def _routers(message: Message) -> list[dict[str, Any]]:
    data = message.data or {}
    return [data, *data.get("more", [])]


def _off_facts(message: Message, data: dict[str, Any]) -> Facts:
    since = data.get("since")
    return [
        (_("Router"), data.get("router")),
        (_("Address"), data.get("host")),
        (_("Not reached since"), Formats(message).moment(since) if since else None),
        (_("Minutes"), data.get("minutes")),
        (_("Cause"), cause(data.get("error") or "")),
        (_("Detail"), data.get("detail")),
    ]


def _tasks(data: dict[str, Any]) -> list[Facts]:
    return [
        [
            (_("Task"), task_name(task.get("kind", ""))),
            (_("Zone"), task.get("zone")),
            (_("Client"), task.get("client")),
            (_("Clients waiting"), task.get("clients")),
            (_("Client codes"), _codes(task.get("codes", []), task.get("clients"))),
        ]
        for task in data.get("tasks", [])
    ]


def _codes(codes: list[str], total: int | None) -> str:
    shown = ", ".join(codes[:CODES_SHOWN])
    more = (total or len(codes)) - len(codes[:CODES_SHOWN])
    return str(_("%(codes)s and %(more)s more", codes=shown, more=more)) if shown and more > 0 else shown


def _names(message: Message, names: list[str]) -> str:
    """The first names of a list, each once, as a sentence holds them."""
    once = list(dict.fromkeys(names))
    shown = once[:NAMES_SHOWN]
    if len(once) > len(shown):
        shown[-1:] = [str(_("%(count)s more", count=len(once) - len(shown) + 1))]
    return format_list(shown, locale=Locale(language_or(message.language)))


def mail_refused(message: Message) -> Rendered:
    """The mail server refuses our e-mails. ``error`` (code of the mail server's trouble), ``detail`` (its words),
    ``since`` (ISO moment)."""
    data = message.data or {}
    values = _Formats(message)
    facts: Facts = [
        (_("Since"), values.moment("since")),
        (_("Cause"), error_text(data.get("error", ""))),
        (_("Answer of the mail server"), data.get("detail")),
    ]
    return compose(
        "alert", message, _("The mail server refuses e-mails"),
        lead=_("The mail server refused e-mails of this program, not because of their recipients."),
        sections=[(facts, [])],
        next=_(
            "Nothing is lost: they wait in the outbox and are tried again by themselves, with growing pauses, until "
            "the server takes them."
        ),
        link=_link("/correos/"),
    )  # fmt: skip


def background(message: Message) -> Rendered:
    """Background work stands still. ``part`` (queue, worker, scheduler), ``since`` (ISO moment)."""
    data = message.data or {}
    names = {"queue": _("The queue (Redis)"), "worker": _("Workers"), "scheduler": _("The scheduler")}
    facts: Facts = [
        (_("Not seen"), names.get(data.get("part", ""), data.get("part"))),
        (_("Since"), _Formats(message).moment("since")),
    ]
    return compose(
        "alert", message, _("Background work stands still"),
        lead=_("Invoices, notices, cuts, e-mails and orders to routers wait."),
        sections=[(facts, [])],
        next=_("Look at the machine on which the program runs: are all its processes there? Nothing is lost."),
        link=_link("/"),
    )  # fmt: skip


def _link(path: str) -> str:
    return f"{current_app.config['WISP'].url}{path}"


class _Formats:
    """Values of a message's data as people write them; None where there is none."""

    def __init__(self, message: Message) -> None:
        self._data = message.data or {}
        self._as = Formats(message)

    def amount(self, minor: int) -> str:
        return self._as.money(minor, self._data.get("currency"))

    def money(self, key: str) -> str | None:
        return self.amount(self._data[key]) if self._data.get(key) is not None else None

    def day(self, key: str) -> str | None:
        return self._as.day(self._data[key]) if self._data.get(key) else None

    def month(self, key: str) -> str | None:
        return self._as.month(self._data[key]) if self._data.get(key) else None

    def moment(self, key: str) -> str | None:
        return self._as.moment(self._data[key]) if self._data.get(key) else None


def register() -> None:
    """Make the kinds known."""
    register_kind("test", test)
    register_kind("receipt", receipt)
    register_kind("alert_router_waiting", router_waiting)
    register_kind("alert_router_off", router_off)
    register_kind("alert_router_back", router_back)
    register_kind("alert_run_failed", run_failed)
    register_kind("alert_mail_refused", mail_refused)
    register_kind("alert_background", background)
