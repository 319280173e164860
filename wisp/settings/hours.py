"""The hours and weekdays in which clients may be cut. Pure: moments in, moments out.

Hours are those on the wall of the client's zone, so both changes of daylight saving follow by themselves: an hour that
does not exist begins with the next one that does, one that exists twice counts twice.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

DAY = 24 * 60
LOOK_AHEAD = 15
"""Days looked at for the next allowed moment: two weeks, so that a week whose only hour fell into a gap is bridged."""
NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


def parse_clock(text: str) -> int:
    """ "08:00" as minutes from midnight. ValueError for anything else."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"not an hour: {text!r}")
    return int(found[1]) * 60 + int(found[2])


def format_clock(minutes: int) -> str:
    """Minutes from midnight as "08:00"."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def parse_days(text: str) -> str:
    """ "mon-thu" or "mon,wed,fri-sun" as ISO digits ("1234"); every day is "". ValueError for anything else."""
    found: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, _dash, last = part.partition("-")
        begin, end = NAMES.index(first), NAMES.index(last or first)
        found |= {(begin + step) % 7 + 1 for step in range((end - begin) % 7 + 1)}
    return check_days("".join(map(str, found)))


def check_days(digits: str) -> str:
    """ISO digits of weekdays in order, each once; all seven are "". ValueError for any other sign."""
    if set(digits) - set("1234567"):
        raise ValueError(f"not weekdays: {digits!r}")
    ordered = "".join(sorted(set(digits)))
    return "" if len(ordered) == 7 else ordered


def format_days(digits: str) -> str:
    """ISO digits as the command line writes them: "mon-thu", "mon,wed", "any"."""
    groups: list[list[int]] = []
    for day in map(int, digits):
        if groups and groups[-1][-1] == day - 1:
            groups[-1].append(day)
        else:
            groups.append([day])
    names = ["-".join(dict.fromkeys((NAMES[group[0] - 1], NAMES[group[-1] - 1]))) for group in groups]
    return ",".join(names) or "any"


@dataclass(frozen=True)
class Hours:
    """When clients may be cut: from minute ``begin`` until before minute ``end`` on the ISO weekdays ``days`` (none:
    every day)."""

    begin: int = 0
    end: int = DAY
    days: frozenset[int] = frozenset()

    @classmethod
    def of(cls, cut_from: str, cut_until: str, cut_days: str) -> "Hours":
        """From the company's columns; empty ones set no limit."""
        return cls(
            parse_clock(cut_from) if cut_from else 0,
            parse_clock(cut_until) if cut_until else DAY,
            frozenset(map(int, cut_days)),
        )

    @property
    def always(self) -> bool:
        """There is no limit."""
        return self.begin == 0 and self.end == DAY and (not self.days or len(self.days) == 7)

    def allow(self, now: datetime, tz: ZoneInfo) -> bool:
        """Whether a client whose zone is in ``tz`` may be cut at the aware moment ``now``."""
        local = now.astimezone(tz)
        minute = local.hour * 60 + local.minute
        return self.begin <= minute < self.end and (not self.days or local.isoweekday() in self.days)

    def next_allowed(self, now: datetime, tz: ZoneInfo) -> datetime:
        """The first moment (UTC), not before ``now``, at which a client in ``tz`` may be cut: ``now`` where that is so
        already."""
        now = now.astimezone(UTC)
        if self.allow(now, tz):
            return now
        today = now.astimezone(tz).date()
        for ahead in range(-1, LOOK_AHEAD):
            moments = [
                at for at in self._openings(today + timedelta(days=ahead), tz) if at > now and self.allow(at, tz)
            ]
            if moments:
                return min(moments)
        return now + timedelta(days=1)  # no such hour in two weeks: look again tomorrow

    def _openings(self, day: date, tz: ZoneInfo) -> Iterator[datetime]:
        """The moments at which the wall of ``tz`` reaches the first minute of ``day``'s hours: one, two where that
        minute exists twice, the end of the gap where it does not exist."""
        wall = datetime(day.year, day.month, day.day, *divmod(self.begin, 60), tzinfo=tz)
        first, second = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
        yield first
        yield second
        if second < first:  # in a gap the later offset comes first
            yield _end_of_gap(second, first, tz)


def _end_of_gap(before: datetime, after: datetime, tz: ZoneInfo) -> datetime:
    """The moment between these two at which the clock of ``tz`` is put forward."""
    offset = before.astimezone(tz).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(tz).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)
