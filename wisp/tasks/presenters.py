"""Rows and runs in the words that a page shows; the templates only lay them out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.lists import format_list
from flask_babel import gettext as _
from flask_babel import ngettext as _plural

from wisp.clients.models import Client
from wisp.core import clock
from wisp.routers.models import Router, Zone
from wisp.schedules import domain as calendar
from wisp.schedules import service as schedules
from wisp.schedules.domain import Kind, MonthReason
from wisp.schedules.models import BillingSchedule, PeriodicTask
from wisp.tasks import queries, texts
from wisp.tasks.domain import OPEN_RUNS, UNSETTLED_RUNS, ItemState, Reason, RunState
from wisp.tasks.models import RunItem, TaskRun
from wisp.web.formats import facts, format_day, format_moment, format_month, format_number, locale


def ngettext(one: str, many: str, count: int, **more: Any) -> str:
    """A sentence with a grouped number; ``one`` and ``many`` are translated with %(count)s."""
    return str(_plural(one, many, count, count=format_number(count), **more))


@dataclass(frozen=True)
class Progress:
    """An open run: ``maximum`` 0 = nobody can say how far it is."""

    text: str
    value: int = 0
    maximum: int = 0


def owners(moment: Any) -> str:
    """Whose tasks run at one moment: "Norte y 1 cliente"; ``zones``, ``zone`` (the first), ``clients``."""
    parts = []
    if moment.zones:
        parts.append(moment.zone)
    if moment.zones > 1:
        parts.append(ngettext("%(count)s more zone", "%(count)s more zones", moment.zones - 1))
    if moment.clients and moment.zones:
        parts.append(ngettext("%(count)s client", "%(count)s clients", moment.clients))
    elif moment.clients:
        parts.append(
            ngettext("%(count)s client with own billing", "%(count)s clients with own billing", moment.clients)
        )
    return format_list(parts, locale=locale())


def is_open(run: TaskRun) -> bool:
    """True while the run is queued or under way."""
    return run.state in set(OPEN_RUNS)


def progress(run: TaskRun) -> Progress:
    """How far an open run is."""
    if run.state == RunState.QUEUED:
        return Progress(_("In the queue: it starts in a moment"))
    if run.phase == "syncing":
        return Progress(
            ngettext("Writing to the router: %(count)s client", "Writing to the router: %(count)s clients", run.waiting)
        )
    done = run.invoiced + run.unchanged + run.skipped + run.waiting + run.failed
    if not run.expected:
        return Progress(_("Starting"))
    text = _("%(done)s of %(all)s clients", done=format_number(done), all=format_number(run.expected))
    return Progress(text, min(done, run.expected), run.expected)


class Part(str):
    """A few words of a result; ``look`` says how grave they are."""

    __slots__ = ("look",)

    def __new__(cls, text: str, look: str = "") -> "Part":
        """The words with their look."""
        made = super().__new__(cls, text)
        made.look = look
        return made

    look: str


def enforced(run: TaskRun) -> tuple[int, int]:
    """How many clients a notice or a cut did reach, and how many it had reached before: without those who only stand
    on a list that their router does not apply."""
    done = run.notified + run.cut
    return max(done - run.not_enforced, 0), max(run.unchanged - max(run.not_enforced - done, 0), 0)


def result_parts(kind: str, run: TaskRun) -> list[Part]:
    """The latest run in words, most important first: "5,000 facturas creadas", "3 esperan al router"."""
    parts: list[Part] = []
    done, found = enforced(run)
    if kind == Kind.invoices:
        created = ngettext("%(count)s invoice created", "%(count)s invoices created", run.invoiced)
        parts.append(Part(created if run.invoiced else _("0 created")))
        if run.unchanged:
            parts.append(Part(ngettext("%(count)s already invoiced", "%(count)s already invoiced", run.unchanged)))
    elif kind == Kind.notice:
        if done or not (run.waiting or found or run.not_enforced):
            parts.append(Part(ngettext("%(count)s notice shown", "%(count)s notices shown", done)))
        if found:
            parts.append(Part(ngettext("%(count)s already had it", "%(count)s already had it", found)))
    else:
        if done or not (run.waiting or found or run.not_enforced):
            parts.append(Part(ngettext("%(count)s cut", "%(count)s cut", done)))
        if found:
            parts.append(Part(ngettext("%(count)s was already cut", "%(count)s were already cut", found)))
    if run.not_enforced:
        listed = ngettext(
            "%(count)s on the list; the router does not apply it",
            "%(count)s on the list; the router does not apply it",
            run.not_enforced,
        )  # fmt: skip
        parts.append(Part(listed, "danger"))
    if run.waiting and run.state == RunState.HELD:
        held = ngettext("%(count)s waits for the hours of cuts", "%(count)s wait for the hours of cuts", run.waiting)
        parts.append(Part(held, "warning"))
    elif run.waiting:
        waiting = ngettext("%(count)s waits for the router", "%(count)s wait for the router", run.waiting)
        parts.append(Part(waiting, "warning"))
    if run.failed:
        parts.append(Part(ngettext("%(count)s failed", "%(count)s failed", run.failed), "danger"))
    return parts


@dataclass(frozen=True)
class TaskRow:
    """One task as the page shows it."""

    task: PeriodicTask
    schedule: BillingSchedule
    zone: Zone
    client: Client | None
    router: Router
    last: TaskRun | None
    working: TaskRun | None
    state: str
    times: int
    missed: date | None
    zone_billed: int = 0
    own_billed: int = 0
    own_item: RunItem | None = None

    @property
    def id(self) -> int:
        """The task's id."""
        return self.task.id

    @property
    def kind(self) -> str:
        """Its kind as people read it."""
        return str(texts.KINDS[self.task.kind])

    @property
    def icon(self) -> str:
        """The icon of its kind."""
        return texts.ICONS[Kind(self.task.kind)]

    @property
    def owner(self) -> str:
        """The zone or the client that it belongs to."""
        return self.client.name if self.client is not None else self.zone.name

    @property
    def timezone(self) -> ZoneInfo:
        """Where its hours are meant."""
        return schedules.timezone_of(self.schedule)

    @property
    def foreign_timezone(self) -> str:
        """The name of its time zone where it is not the company's: "Tijuana"."""
        if self.timezone.key == facts().timezone.key:
            return ""
        return self.timezone.key.rpartition("/")[2].replace("_", " ")

    @property
    def moved_from(self) -> datetime | None:
        """The configured moment, where the next run was moved with late invoices."""
        if not self.task.shift_days or self.task.next_at is None:
            return None
        return calendar.occurrence_at(self.task.next_month, schedules.when_of(self.task), self.timezone)

    @property
    def state_text(self) -> str:
        """The badge's words."""
        return str(texts.STATES[self.state])

    @property
    def state_look(self) -> str:
        """The badge's look."""
        return texts.STATE_LOOKS[self.state]

    @property
    def state_title(self) -> str:
        """More about the state: when a run that had waited was completed."""
        run = self.last
        if self.state == "success" and run is not None and run.completed_at and run.finished_at != run.completed_at:
            return str(_("completed on %(moment)s", moment=format_moment(run.completed_at, self.timezone)))
        return ""

    @property
    def progress(self) -> Progress | None:
        """How far the open run is."""
        return progress(self.working) if self.working is not None else None

    @property
    def result(self) -> list[Part]:
        """The latest run in words; of a run of the zone that acted for this task, what it did to the client."""
        if self.last is None:
            return []
        if self.last.task_id == self.task.id:
            return result_parts(self.task.kind, self.last)
        if self.own_item is None:
            return [Part(_("Nothing to do"))]
        look = {ItemState.WAITING: "warning", ItemState.FAILED: "danger"}.get(ItemState(self.own_item.state), "")
        return [Part(texts.item_state(self.task.kind, self.own_item.state, self.own_item.reason), look)]

    @property
    def has_second_action(self) -> bool:
        """True for a zone's notice and cut, which can be applied to its clients with own billing."""
        return self.client is None and self.task.kind != Kind.invoices

    @property
    def second_action_bar(self) -> str:
        """Why the second action is not offered on the row; empty where it is."""
        if not self.zone_billed:
            return "" if self.own_billed else str(_("The zone has no clients"))
        return ngettext(
            "%(some)s of %(count)s client uses the zone's billing",
            "%(some)s of %(count)s clients use the zone's billing",
            self.zone_billed + self.own_billed,
            some=format_number(self.zone_billed),
        )

    @property
    def waits(self) -> bool:
        """True where the latest run still waits for its router: it may be settled while the page is open."""
        return self.last is not None and self.last.state in set(UNSETTLED_RUNS) and self.last.waiting > 0

    @property
    def missed_name(self) -> str:
        """The missed month by its name alone: it is of this year or just before it."""
        return format_date(self.missed, "LLLL", locale=locale()) if self.missed else ""

    @property
    def last_note(self) -> str:
        """How the latest run came about, and its month where that is not the present one."""
        run = self.last
        if run is None:
            return ""
        words = [str(texts.TRIGGERS[run.trigger])]
        if run.scope:
            words.append(str(_("clients with own billing")))
        if run.month != calendar.month_of(clock.today(self.timezone)):
            words.append(format_month(run.month))
        return " · ".join(words)


def task_row(found: Sequence[Any], missed: date | None = None) -> TaskRow:
    """A row of service.listing (with or without the client's column) as the page shows it."""
    task, schedule, zone, *rest = found
    client = rest.pop(0) if isinstance(rest[0], Client) else None
    router, last, working, state, _occurrence, times = rest
    return TaskRow(task, schedule, zone, client, router, last, working, state, times, missed)


def task_rows(found: Sequence[Any]) -> list[TaskRow]:
    """A page of rows, each with its missed month and how its zone's clients are billed; a few more statements."""
    missed = queries.missed_months([row[0].id for row in found if row[0].state == "missed"])
    rows = [task_row(row, missed.get(row[0].id)) for row in found]
    counts = queries.billing_counts_of({row.zone.id for row in rows if row.has_second_action})
    items = queries.own_items(
        [(row.client.id, row.last.id) for row in rows if row.client and row.last and row.last.task_id != row.id]
    )
    shown = []
    for row in rows:
        by_zone, own = counts.get(row.zone.id, (0, 0))
        mine = items.get((row.client.id, row.last.id)) if row.client and row.last else None
        shown.append(replace(row, zone_billed=by_zone, own_billed=own, own_item=mine))
    return shown


def month_options(months: Sequence[calendar.ManualMonth]) -> list[tuple[str, str]]:
    """The months of the dialog: "noviembre de 2026 (actual)", "octubre de 2026 · no aplicada"."""
    notes = {
        MonthReason.current: _("%(month)s (present)"),
        MonthReason.missed: _("%(month)s · not applied"),
        MonthReason.next: _("%(month)s (next)"),
    }
    return [
        (calendar.format_month(found.month), notes[found.reason] % {"month": format_month(found.month)})
        for found in months
    ]


@dataclass(frozen=True)
class Card:
    """One count of a run; ``state`` filters the ledger, empty where it cannot."""

    label: str
    count: int
    state: str = ""
    look: str = "muted"


def cards(kind: str, run: TaskRun, counts: dict[str, int]) -> list[Card]:
    """The counts of a run: what was done first, then what is open, then the rest; zeros only where they tell."""
    done, found = (run.invoiced, run.unchanged) if kind == Kind.invoices else enforced(run)
    shown = [Card(str(texts.DONE_MANY[kind]), done, "done", "success")]
    if kind == Kind.invoices:
        shown.append(Card(str(texts.UNCHANGED_MANY[kind]), found))
    elif found:
        shown.append(Card(str(texts.UNCHANGED_MANY[kind]), found, "unchanged"))
    if run.not_enforced:
        shown.append(Card(str(texts.REASONS[Reason.NOT_ENFORCED]), run.not_enforced, look="danger"))
    if run.state == RunState.HELD:
        shown.append(Card(_("Clients waiting for the hours of cuts"), run.waiting, "waiting", "warning"))
    elif kind != Kind.invoices or run.waiting:
        shown.append(Card(_("Clients waiting for the router"), run.waiting, "waiting", "warning"))
    shown.append(Card(_("Clients failed"), run.failed, "failed", "danger"))
    shown.append(Card(_("Stay out"), run.skipped, "skipped"))
    if counts.get("superseded"):
        shown.append(Card(_("No longer needed"), counts["superseded"], "superseded"))
    return shown


def owing(debt: queries.Owing | None) -> str:
    """Why a client is notified or cut: how many invoices are open, and since when or until when."""
    if debt is None:
        return "–"
    day = format_day(debt.oldest)
    if debt.oldest < debt.today:
        return ngettext(
            "%(count)s invoice, due on %(day)s", "%(count)s invoices, the oldest due on %(day)s", debt.invoices, day=day
        )
    return str(_("Due on %(day)s", day=day))


def confirm_label(kind: str, clients: int) -> str:
    """What the confirming button says it will do."""
    if not clients:
        return str(_("Apply anyway"))
    if kind == Kind.invoices:
        return ngettext("Create %(count)s invoice", "Create %(count)s invoices", clients)
    if kind == Kind.notice:
        return ngettext("Show the notice to %(count)s client", "Show the notice to %(count)s clients", clients)
    return ngettext("Cut %(count)s client", "Cut %(count)s clients", clients)


def month_key(month: date) -> str:
    """A month as the forms send it: "2026-11"."""
    return calendar.format_month(month)


def item_choices(kind: str) -> list[tuple[str, str]]:
    """The states of a ledger's filter, in the words of the kind."""
    shown = [state for state in ItemState if kind != Kind.invoices or state not in ABSENT_FROM_INVOICES]
    return [(state.value, texts.item_state(kind, state)) for state in shown]


ABSENT_FROM_INVOICES = (ItemState.UNCHANGED, ItemState.WAITING)
"""Who is invoiced already has no line of its own, and invoices wait for nobody."""


def who(run: TaskRun) -> str:
    """Who ordered a run."""
    return texts.actor_text(run.actor)
