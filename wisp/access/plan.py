"""What one conversation with a router is about, and what came of it: plain values between database and network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from wisp.access.domain import Lists, Outcome
from wisp.access.levers import Lever
from wisp.gateway import Target


class Subject(NamedTuple):
    """A client in one synchronisation: its connection, what is wanted (``cut``, ``notice``, ``none``) in which
    ``version``, and what was recorded before. ``here``: the recorded state is that of this router. ``lever``: the
    recorded lever on this router. ``gone``: it is cancelled, and what others still hold is no matter.
    ``networks``: further addresses and networks, which a cut and a notice hold too."""

    client_id: int
    code: str
    connection: str
    address: str | None
    username: str
    wanted: str
    version: int
    applied_version: int
    here: bool = False
    cut: bool = False
    notice: bool = False
    applied_address: str | None = None
    foreign: bool = False
    error: str = ""
    sent: bool = False
    address6: str | None = None
    mac: str = ""
    applied_address6: str | None = None
    lever: Lever = Lever()
    gone: bool = False
    networks: tuple[str, ...] = ()

    @property
    def has_ipv6(self) -> bool:
        """Something of it belongs on the IPv6 lists."""
        return bool(self.address6) or any(":" in network for network in self.networks)

    @property
    def settled(self) -> bool:
        """The router has confirmed what is wanted."""
        return self.version == self.applied_version


@dataclass(frozen=True)
class Left:
    """A lever that a client left behind on this router, to be put back: a row of AccessLeftover. ``code``: the
    client's, where somebody may read it."""

    id: int
    client_id: int
    lever: Lever
    code: str = ""


@dataclass(frozen=True)
class Plan:
    """What is wanted on one router at the moment of reading. ``target`` None: its password cannot be read.

    ``held``: clients whose cut waits for the hours in which cuts are allowed, and until when. Among the subjects they
    want what stands. ``pppoe_cut``: see Router. ``ipv6``: look at all: the IPv6 lists may hold
    entries of ours, and profiles of ours users whom nobody knows of. ``noted``: the names of the lists that may hold
    entries of ours, as the database has them (RouterSync.lists)."""

    router_id: int
    order: int
    target: Target | None
    lists: Lists
    subjects: Sequence[Subject]
    held: Mapping[int, datetime] = field(default_factory=dict)
    pppoe_cut: str = "profile"
    ipv6: bool = False
    left: Sequence[Left] = ()
    noted: str = ""

    def list_of(self, wanted: str) -> str:
        """The name of the list for ``cut`` and ``notice``; empty for ``none``."""
        return {"cut": self.lists.cut, "notice": self.lists.notice}.get(wanted, "")


@dataclass(frozen=True)
class Record:
    """A lever to be remembered before its command is sent; ``version``: of the wanted state that it brings about."""

    client_id: int
    lever: Lever
    version: int


class Applied(NamedTuple):
    """How it ended for one client, on which of the two lists it stands now (or is kept as if), by which entries of
    ours, and by which lever."""

    outcome: Outcome
    cut: bool
    notice: bool
    address6: str | None = None
    lever: Lever = Lever()


@dataclass
class Result:
    """How a conversation ended. ``logged_in``: the router let us in at least once. ``sent``: clients for whom commands
    went out. ``leftovers``: entries of nobody that could not be removed, and levers that could not be put back.
    ``look_again``: a client whose session was ended may come back with another address. ``undone``: ids of the left
    levers that need nothing more. ``ipv6``: the IPv6 lists still hold entries of ours, or may."""

    reached: bool
    error: str = ""
    detail: str = ""
    logged_in: bool = False
    clients: dict[int, Applied] = field(default_factory=dict)
    sent: set[int | None] = field(default_factory=set)
    leftovers: int = 0
    look_again: bool = False
    undone: list[int] = field(default_factory=list)
    ipv6: bool = False
