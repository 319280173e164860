"""Events: how a lower slice lets a higher one take part, in the same transaction and without importing it.

The factory wires the receivers. ``emit`` calls them in the order in which they were connected; an exception
of a receiver rolls the whole transaction back.
"""

from collections.abc import Callable
from typing import Any


class Event:
    """One named event; receivers take keyword arguments."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._receivers: list[Callable[..., None]] = []

    def connect(self, receiver: Callable[..., None]) -> None:
        """Add a receiver once; connecting it again changes nothing."""
        if receiver not in self._receivers:
            self._receivers.append(receiver)

    def emit(self, **arguments: Any) -> None:
        """Call every receiver with ``arguments``."""
        for receiver in self._receivers:
            receiver(**arguments)


client_saved = Event("client_saved")  # client_ids: list[int]; changed: names of what did (absent: anything may have)
plan_changed = Event("plan_changed")  # plan_id: its speed or its profile is another one
router_changed = Event("router_changed")  # router_id, changed: names of what did
clients_imported = Event("clients_imported")  # rows: list of clients.service.Imported
client_moved = Event("client_moved")  # client_ids, old_router_id, new_router_id
client_cancelled = Event("client_cancelled")  # client_ids
client_reactivated = Event("client_reactivated")  # client_ids: a person gives the service back
router_returned = Event("router_returned")  # router_id, outage_id
router_synced = Event("router_synced")  # router_id, report: access.service.SyncReport
lists_applied = Event("lists_applied")  # router_id, lists: of "cut", "cut6", "notice", those that its rules apply now
account_changed = Event("account_changed")  # client_ids: list[int]; debt may have fallen
background_silent = Event("background_silent")  # part: "queue", "worker" or "scheduler"; since: moment
# schedule_id, before: schedules.service.Terms, gap, client_ids (absent: all)
billing_changed = Event("billing_changed")
settings_changed = Event("settings_changed")  # changed: set[str]
