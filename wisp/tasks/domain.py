"""Words of a run: what is done to a client, why a client is left out, how a run ends."""

from enum import StrEnum

CHUNK = 5000
"""Clients in one transaction of a run: the longest lock stays near a tenth of a second on SQLite."""


FOLLOWUP = "followup"
"""TaskRun.trigger of the cut that follows broken promises."""


class Action(StrEnum):
    """What a run does to one client."""

    INVOICE = "invoice"
    NOTIFY = "notify"
    CUT = "cut"
    NONE = "none"


ACTION_OF = {"invoices": Action.INVOICE, "notice": Action.NOTIFY, "cut": Action.CUT}


class Reason(StrEnum):
    """Why a client is left out of a run, or what is particular about it. Texts stand in tasks.texts."""

    NONE = ""
    ALREADY_INVOICED = "already_invoiced"  # has its invoice of that month: nothing to do
    NOTHING_OWED = "nothing_owed"  # nothing to do
    FREE = "free"
    NO_PRICE = "no_price"
    EXEMPT = "exempt"  # its invoice of that month was voided without "invoice again"
    PAUSED = "paused"
    SUSPENDED = "suspended"  # suspended clients are not invoiced (setting)
    SUSPENDED_BY_HAND = "suspended_by_hand"
    NOT_INSTALLED = "not_installed"
    ALREADY_BILLED = "already_billed"  # another invoice or system has billed through the period
    GAP = "gap"  # invoiced, with the days before the period that no invoice covers
    GAP_LEFT = "gap_left"  # invoiced without them: too many, or a person chose so
    SHORTENED = "shortened"  # invoiced, for less than the whole period
    NOT_DUE = "not_due"
    EXCLUDED = "excluded"
    PROMISE = "promise"
    ALREADY_CUT = "already_cut"
    ALREADY_NOTIFIED = "already_notified"
    ORDERED = "ordered"  # wanted already, and its router has not confirmed it
    CUT_ORDERED = "cut_ordered"  # the cut takes the notice's place, and its router has not confirmed it
    HELD_OUT = "held_out"  # taken out by the person who ordered the run
    CHANGED = "changed"  # not as it was in the simulation that was handed over
    AFTER_HOURS = "after_hours"  # waits for the hours in which cuts are allowed
    ROUTER_OFF = "router_off"
    ROUTER_REFUSED = "router_refused"
    NO_ADDRESS = "no_address"  # nothing that could stand on a list
    REACTIVATED = "reactivated"  # a person gave the service back after the run was planned
    PAID = "paid"  # settled between the order and the router
    CANCELLED = "cancelled"  # between the order and the router
    TAKEN_OVER = "taken_over"  # a later run of the task does it
    FOREIGN = "foreign"  # somebody else's entry already holds the address
    NOT_ENFORCED = "not_enforced"  # on a list that the router's rules do not apply
    ERROR = "error"


NOTHING_TO_DO = (Reason.ALREADY_INVOICED, Reason.NOTHING_OWED)


STANDING = (Reason.ALREADY_CUT, Reason.ALREADY_NOTIFIED, Reason.ORDERED)
"""Wanted already: a run reads on the router whether it stands, and changes nothing."""


class RunState(StrEnum):
    """queued, running: open. held: waits for a person, or for the hours in which cuts are allowed. error: an item waits
    or failed. undone: reverted."""

    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"
    ERROR = "error"
    SUCCESS = "success"
    UNDONE = "undone"


class ItemState(StrEnum):
    """One client in one run."""

    DONE = "done"
    UNCHANGED = "unchanged"
    WAITING = "waiting"
    FAILED = "failed"
    SKIPPED = "skipped"
    SUPERSEDED = "superseded"


OPEN_RUNS = (RunState.QUEUED, RunState.RUNNING)
OPEN_ITEMS = (ItemState.WAITING, ItemState.FAILED)


UNSETTLED_RUNS = (RunState.ERROR, RunState.HELD)


def end_state(waiting: int, failed: int, after_hours: int = 0) -> RunState:
    """How a run ends: error where any item waits or failed; held where all that waits, waits only for the hours in
    which cuts are allowed (``after_hours`` of the waiting)."""
    if failed or waiting > after_hours:
        return RunState.ERROR
    return RunState.HELD if waiting else RunState.SUCCESS
