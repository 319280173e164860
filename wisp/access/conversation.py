"""Talking to a router about its address lists. Network only: knows no tables, opens no transaction.

It reads what stands there, compares it with what is wanted, sends the difference and nothing else. Where it is in
doubt (the connection broke, an entry was there already) it reads again and decides anew; nothing is sent blindly
twice.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from wisp.access import domain
from wisp.access.domain import Add, Change, Difference, Lists, Outcome, Verdict, Wanted
from wisp.gateway import Connection, Entry, ErrorCode, GatewayError, NewEntry, Status, Target, connect
from wisp.gateway import Outcome as Answer

DEADLINE = 90.0
"""Seconds that one connection may take in all."""
CONNECTIONS = 4
"""How often a job connects at most: again after the first break, then only while it gets on."""
LOOKS = 3
"""How often the lists are read at most on one connection."""
_MENU = "/ip/firewall/address-list"
T = TypeVar("T")


@dataclass(frozen=True)
class Subject:
    """A client in one synchronisation: its connection, what is wanted (``cut``, ``notice``, ``none``) in which
    ``version``, and what was recorded before. ``here``: the recorded state is that of this router."""

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

    @property
    def settled(self) -> bool:
        """The router has confirmed what is wanted."""
        return self.version == self.applied_version


@dataclass(frozen=True)
class Plan:
    """What is wanted on one router at the moment of reading. ``target`` None: its password cannot be read.

    ``held``: clients whose cut waits for the hours in which cuts are allowed, and until when. Among the subjects they
    want what stands."""

    router_id: int
    order: int
    target: Target | None
    lists: Lists
    subjects: Sequence[Subject]
    held: Mapping[int, datetime] = field(default_factory=dict)

    def list_of(self, wanted: str) -> str:
        """The name of the list for ``cut`` and ``notice``; empty for ``none``."""
        return {"cut": self.lists.cut, "notice": self.lists.notice}.get(wanted, "")


@dataclass(frozen=True)
class Applied:
    """How it ended for one client, and on which of the two lists it stands now."""

    outcome: Outcome
    cut: bool
    notice: bool


@dataclass
class Result:
    """How a conversation ended. ``logged_in``: the router let us in at least once. ``sent``: clients for whom commands
    went out. ``leftovers``: entries of nobody that could not be removed. ``look_again``: a client whose
    session was ended may come back with another address."""

    reached: bool
    error: str = ""
    detail: str = ""
    logged_in: bool = False
    clients: dict[int, Applied] = field(default_factory=dict)
    sent: set[int | None] = field(default_factory=set)
    leftovers: int = 0
    look_again: bool = False


def converse(plan: Plan, renew: Callable[[], None]) -> Result:
    """Make the router's lists as ``plan`` wants them. ``renew`` is called before each further connection.

    A break is an unknown outcome: connect again, read, send what still differs. Never raises GatewayError.
    """
    if plan.target is None:
        return Result(False, "unreadable")
    talk = Conversation(plan)
    error = GatewayError(ErrorCode.unreachable)
    for attempt in range(CONNECTIONS):
        answered = talk.answered
        connected = False
        if attempt:
            renew()
        try:
            with connect(plan.target, deadline=DEADLINE) as connection:
                connected = talk.logged_in = True
                talk.hold(connection)
            return talk.result()
        except GatewayError as found:
            error = found
        refused = error.code in (ErrorCode.trap, ErrorCode.permission)
        if not connected or refused or (attempt and talk.answered == answered):
            break
    return Result(False, error.code.value, error.detail, talk.logged_in, sent=talk.made)


def look(plan: Plan) -> Difference:
    """The difference as it stands, nothing changed. Raises GatewayError."""
    if plan.target is None:
        raise GatewayError(ErrorCode.login, "unreadable")
    talk = Conversation(plan)
    with connect(plan.target, deadline=DEADLINE) as connection:
        return talk.compare(connection)


class Conversation:
    """What has been learned and done so far, over one or more connections."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.logged_in = False
        self.answered = 0
        self.made: set[int | None] = set()
        """Clients whose entry was added or enabled, or who were taken off; perhaps unanswered."""
        self.fresh: set[int] = set()
        """Clients wanted cut who had no entry of ours when we first looked."""
        self.looked = False
        self.difference = Difference()
        self.standing: dict[str, dict[str, str]] = {}
        self.failures: dict[int, str] = {}
        self.leftovers = 0
        self.sessions: dict[int, str] = {}
        self.addresses: dict[int, str | None] = {}
        self.from_session: set[int] = set()
        self.look_again = False

    def hold(self, connection: Connection) -> None:
        """The whole conversation on one connection. Raises GatewayError where it breaks."""
        for last in (False,) * (LOOKS - 1) + (True,):
            self.difference = self.compare(connection)
            if not self._send(connection, last):
                break
        self._end_sessions(connection)

    # Reading -----------------------------------------------------------------------------------------

    def compare(self, connection: Connection) -> Difference:
        """Read the lists once and compare."""
        entries = connection.read_lists(self.plan.lists.names)
        busy = self._resolve(connection)
        wanted = [
            Wanted(s.client_id, s.code, self.addresses[s.client_id], self.plan.list_of(s.wanted))
            for s in self.plan.subjects
        ]
        found = domain.difference(wanted, entries, self.plan.lists, busy)
        self.standing = _standing(entries)
        if not self.looked:
            self.looked = True
            self.fresh = {
                s.client_id for s in self.plan.subjects if s.wanted == "cut" and not found.verdicts[s.client_id].held
            }
        return found

    def _resolve(self, connection: Connection) -> frozenset[str]:
        """Find out each client's address; returns those that PPP sessions use now, where they were read.

        A fixed address is the client's own. PPPoE without one: the secret's, else that of the live session. To judge a
        release the address that we last wrote will do.
        """
        subjects = self.plan.subjects
        self.addresses = {s.client_id: s.address for s in subjects}
        open_ones = [s for s in subjects if s.address is None and s.connection == "pppoe" and s.username]
        busy: frozenset[str] = frozenset()
        if any(s.wanted != "none" for s in open_ones):
            secrets = {s.name: s.remote_address for s in _optional(connection.ppp_secrets) if not s.disabled}
            active = {session.name: session.address for session in _optional(connection.active_ppp)}
            busy = frozenset(filter(None, active.values()))
            for s in open_ones:
                fixed = secrets.get(s.username, "")
                if domain.is_ipv4(fixed):
                    self.addresses[s.client_id] = fixed
                elif active.get(s.username):
                    self.addresses[s.client_id] = active[s.username]
                    self.from_session.add(s.client_id)
        for s in subjects:
            if s.wanted == "none" and self.addresses[s.client_id] is None:
                self.addresses[s.client_id] = s.applied_address
        return busy

    # Changing ----------------------------------------------------------------------------------------

    def _send(self, connection: Connection, last: bool) -> bool:
        """Send the difference; True where the answers leave a doubt that another look must settle."""
        found = self.difference
        self.failures, self.leftovers = {}, 0
        free = {s.client_id for s in self.plan.subjects if s.wanted == "none"}
        self.made |= {change.client_id for change in found.remove if change.client_id in free}
        if found.remove:
            self._take(connection, found.remove, connection.remove_entries([c.id for c in found.remove]), removed=True)
        doubt = False
        self.made |= {change.client_id for change in found.enable}
        if found.enable:
            answers = connection.set(_MENU, [change.id for change in found.enable], {"disabled": "no"})
            doubt |= self._take(connection, found.enable, answers, last=last)
        self.made |= {add.client_id for add in found.add}
        if found.add:
            entries = [NewEntry(add.list, add.address, add.comment) for add in found.add]
            doubt |= self._take(connection, found.add, connection.add_entries(entries), last=last)
        return doubt

    def _take(
        self,
        connection: Connection,
        sent: Sequence[Change | Add],
        answers: Sequence[Answer],
        *,
        removed: bool = False,
        last: bool = False,
    ) -> bool:
        """Write down the answers to commands; True where one of them is a reason to look again."""
        doubt = False
        for command, answer in zip(sent, answers, strict=True):
            self.answered += answer.status is not Status.unknown
            entry = command.id if isinstance(command, Change) else f"new:{command.list}"
            if removed and answer.status in (Status.ok, Status.gone):
                self.standing.get(command.code, {}).pop(entry, None)
            elif answer.status is Status.ok:
                self.standing.setdefault(command.code, {})[entry] = command.list
            elif answer.status is Status.failed or last:
                self._failed(command.client_id, answer.text)
            else:
                doubt = True
        if connection.error is not None:
            raise connection.error
        return doubt

    def _failed(self, client_id: int | None, text: str) -> None:
        if client_id is None:
            self.leftovers += 1
        else:
            self.failures[client_id] = text

    def _end_sessions(self, connection: Connection) -> None:
        """End the live PPPoE sessions of those who were cut just now: without it what is open stays open."""
        subjects = {
            s.username: s
            for s in self.plan.subjects
            if s.connection == "pppoe" and s.username and s.wanted == "cut" and self._is_new(s) and self._stands(s)
        }
        if not subjects:
            return
        live = [session for session in _optional(connection.active_ppp) if session.name in subjects]
        answers = connection.drop_active_ppp([session.id for session in live])
        if connection.error is not None:
            raise connection.error
        for session, answer in zip(live, answers, strict=True):
            client_id = subjects[session.name].client_id
            if answer.status is Status.failed:
                self.sessions[client_id] = answer.text
            elif client_id in self.from_session:
                self.look_again = True

    def _is_new(self, subject: Subject) -> bool:
        return not (subject.here and subject.cut) or (
            subject.client_id in self.fresh and subject.client_id in self.made
        )

    def _stands(self, subject: Subject) -> bool:
        return self._judge(subject).state != "failed"

    # What came of it ---------------------------------------------------------------------------------

    def result(self) -> Result:
        """How it ended for each client."""
        clients = {s.client_id: self._applied(s) for s in self.plan.subjects}
        return Result(
            True, logged_in=True, clients=clients, sent=self.made, leftovers=self.leftovers, look_again=self.look_again
        )

    def _judge(self, subject: Subject) -> Outcome:
        verdict = self.difference.verdicts[subject.client_id]
        failure = self.failures.get(subject.client_id)
        if failure is None and verdict.shared_with is not None:
            failure = self.failures.get(verdict.shared_with)
        if failure is not None or verdict.problem:
            detail = verdict.problem if failure is None else f"router: {failure}"
            return Outcome("failed", subject.wanted, verdict.address, detail, verdict.foreign)
        written = not verdict.foreign and self._ours(subject, verdict)
        detail = f"session: {self.sessions[subject.client_id]}" if subject.client_id in self.sessions else ""
        return Outcome("written" if written else "unchanged", subject.wanted, verdict.address, detail, verdict.foreign)

    def _ours(self, subject: Subject, verdict: Verdict) -> bool:
        """Whether a command of ours made it so: in this conversation, or in an earlier one that broke off."""
        by_us = subject.client_id in self.made or verdict.shared_with in self.made
        return by_us or (subject.sent and not subject.settled)

    def _applied(self, subject: Subject) -> Applied:
        outcome = self._judge(subject)
        lists = set(self.standing.get(subject.code, {}).values())
        if outcome.state != "failed":
            lists = {self.plan.list_of(subject.wanted)}
        elif outcome.foreign:
            lists.add(outcome.detail.removeprefix("foreign: "))
        return Applied(outcome, self.plan.lists.cut in lists, self.plan.lists.notice in lists)


def _standing(entries: Iterable[Entry]) -> dict[str, dict[str, str]]:
    """The enabled entries of ours by code: id and list."""
    standing: dict[str, dict[str, str]] = defaultdict(dict)
    for entry in entries:
        code = domain.code_of(entry)
        if code is not None and not entry.disabled:
            standing[code][entry.id] = entry.list
    return standing


def _optional(read: Callable[[], list[T]]) -> list[T]:
    """What a menu holds; nothing where this router has no such menu or does not let us read it."""
    try:
        return read()
    except GatewayError as error:
        if error.code in (ErrorCode.trap, ErrorCode.permission):
            return []
        raise
