"""The days that nobody would bill once a client goes over to other billing days, to be shown before it is saved.

Periods follow one another on one schedule; between two schedules there can be a hole. What has been billed is known to
a higher slice, which gives the answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from wisp.clients.models import Client
from wisp.schedules.domain import Kind
from wisp.schedules.models import BillingSchedule


@dataclass(frozen=True)
class Terms:
    """What decides on the next period: the month of the next invoice run, its day, the payment day, the type."""

    month: date
    invoice_day: int
    due_day: int
    billing_type: str


@dataclass(frozen=True)
class Unbilled:
    """Days, both in, that no invoice would charge; ``first`` is the day of the next invoice."""

    start: date
    end: date
    first: date

    @property
    def days(self) -> int:
        """How many."""
        return (self.end - self.start).days + 1


Finder = Callable[[Client, Terms], Unbilled | None]
_finders: list[Finder] = []


def answered_by(finder: Finder) -> None:
    """Who knows what has been billed."""
    _finders[:] = [finder]


def terms_of(schedule: BillingSchedule) -> Terms | None:
    """How a schedule goes on; None where its invoices are not created by themselves."""
    task = next(task for task in schedule.tasks if task.kind == Kind.invoices)
    if task.next_at is None:
        return None
    return Terms(task.next_month, task.day, schedule.due_day, schedule.billing_type)


def present(client: Client) -> Terms | None:
    """How the client is billed now."""
    own = client.schedule if client.own_billing else None
    return terms_of(own or client.zone.schedule)


def unbilled(client: Client, new: Terms | None, old: Terms | None) -> Unbilled | None:
    """The days that ``new`` leaves out, where those are more than ``old`` would leave out anyway. None where there are
    none, for a free client, and for one who was never billed."""
    if client.free or new is None or new == old or not _finders:
        return None
    found, before = _finders[0](client, new), _finders[0](client, old) if old else None
    if found is None or before is None or found.end > before.end:
        return found
    return None
