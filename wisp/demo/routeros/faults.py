"""What can be made to go wrong, and what is counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

Action = Literal["trap", "drop_before", "drop_after", "half_sentence", "hang", "swallow", "fatal"]


@dataclass
class Switches:
    """States that last until they are switched back. Times in milliseconds where nothing else is said.

    off: nothing listens and live connections are reset. refuse: new connections are refused, live ones stay.
    silent: connections are accepted and nothing is ever answered or done. slow: time that the router needs for
    each command. round_trip: the line, half of it each way; what is on the line does not queue. drip: one byte
    of the answer at a time with this pause. wrong_password: every log-in fails. no_permission: every change is
    refused. full: every add is refused. reorder: the answers to tagged commands that arrive together go out
    last first. clock_ahead: seconds that the router's clock is ahead of ours.
    """

    off: bool = False
    refuse: bool = False
    silent: bool = False
    slow: float = 0
    round_trip: float = 0
    drip: float = 0
    wrong_password: bool = False
    no_permission: bool = False
    full: bool = False
    reorder: bool = False
    clock_ahead: float = 0

    def change(self, changes: dict[str, object]) -> None:
        """Set some of them. Raises ValueError for an unknown name or a value of the wrong kind."""
        for name, value in changes.items():
            known = {item.name for item in fields(self)}
            if name not in known:
                raise ValueError(f"no switch is called {name}")
            kind = bool if isinstance(getattr(self, name), bool) else (int, float)
            if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
                raise ValueError(f"{name} takes another kind of value")
        for name, value in changes.items():
            setattr(self, name, value)


@dataclass
class Fault:
    """Something that happens to some commands: those whose path begins with `path` (with `path` None: all).

    The first `after` of them pass, then it happens to `count` (None: to all that follow). trap: answered with
    `message`. drop_before, drop_after: the connection is reset before or after the command was carried out.
    half_sentence: carried out, the first half of the answer is sent, then the connection ends. hang: not
    carried out and never answered. swallow: carried out and never answered. fatal: `!fatal` with `message`.
    """

    action: Action
    path: str | None = None
    after: int = 0
    count: int | None = 1
    message: str = "failure: simulated"
    category: int | None = None

    def __post_init__(self) -> None:
        if self.action not in get_args(Action):
            raise ValueError(f"no fault is called {self.action}")


class Faults:
    """The faults in wait, asked for each command in the order in which they were set."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Set one more."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Forget all of them."""
        self._waiting.clear()

    def strike(self, path: str) -> Fault | None:
        """The fault that happens to this command, if any; uses it up."""
        for fault in list(self._waiting):
            if fault.path is not None and not path.startswith(fault.path):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    self._waiting.remove(fault)
            return fault
        return None


@dataclass
class Counters:
    """What clients did since the start or the last `reset`.

    A turn: the router had received something, has answered all that had reached it, and waits. Commands that
    are still on the line have not reached it. Summed over the connections; a log-in is a turn.
    """

    connections: int = 0
    logins: int = 0
    commands: int = 0
    turns: int = 0
    by_path: Counter[str] = field(default_factory=Counter)

    def reset(self) -> None:
        """Start from zero."""
        self.connections = self.logins = self.commands = self.turns = 0
        self.by_path.clear()

    def as_dict(self) -> dict[str, object]:
        """All counts by name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}
