"""What higher slices add to the ledger of runs; the factory fills it in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Window:
    """The time in which what a run put on the screens was there: from its start until before the next run of its task
    (None: until now)."""

    begin: datetime
    end: datetime | None = None

    def holds(self, moment: datetime | None) -> bool:
        """Whether a moment lies in it."""
        return moment is not None and moment >= self.begin and (self.end is None or moment < self.end)


@dataclass(frozen=True)
class Look:
    """When a client last met the notice in a window, and when it confirmed it."""

    seen_at: datetime | None = None
    confirmed_at: datetime | None = None


@dataclass(frozen=True)
class Screens:
    """What is known of the clients' screens.

    ``count(run_id, window)``: how many clients of a notice run saw it, and how many confirmed it. ``looks(windows)``:
    by (client, run), for the windows given so; absent where there is nothing.
    """

    count: Callable[[int, Window], tuple[int, int]]
    looks: Callable[[dict[tuple[int, int], Window]], dict[tuple[int, int], Look]]


screens: Screens | None = None
