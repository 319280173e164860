"""Talking to a router about its address lists. Network only: knows no tables, opens no transaction.

It reads what stands there, compares it with what is wanted, sends the difference and nothing else. Where it is in
doubt (the connection broke, an entry was there already) it reads again and decides anew; nothing is sent blindly
twice.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from wisp.access import domain, ending
from wisp.access.domain import Add, Change, Difference, Outcome, Verdict, Wanted
from wisp.access.facts import is_absent
from wisp.access.leverage import Leverage, Remember, forget
from wisp.access.plan import Applied, Plan, Result, Subject
from wisp.gateway import Connection, Entry, ErrorCode, GatewayError, NewEntry, Status, connect, menus
from wisp.gateway import Outcome as Answer

__all__ = ["Applied", "Conversation", "Plan", "Result", "Subject", "converse", "look"]

DEADLINE = 90.0
"""Seconds that one connection may take in all."""
CONNECTIONS = 4
"""How often a job connects at most: again after the first break, then only while it gets on."""
Users = dict[str, int | None]
"""Users whose sessions are to end, with their client."""
_NONE = Verdict()
LOOKS = 3
"""How often the lists are read at most on one connection."""


def converse(plan: Plan, renew: Callable[[], None], remember: Remember = forget) -> Result:
    """Make the router's lists as ``plan`` wants them. ``renew`` is called before each further connection, ``remember``
    before a lever is moved.

    A break is an unknown outcome: connect again, read, send what still differs. Never raises GatewayError.
    """
    if plan.target is None:
        return Result(False, "unreadable")
    talk = Conversation(plan, remember)
    error = GatewayError(ErrorCode.unreachable)
    for attempt in range(CONNECTIONS):
        answered = talk.heard
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
        if not connected or refused or (attempt and talk.heard == answered):
            break
    return Result(False, error.code.value, error.detail, talk.logged_in, sent=talk.made)


def look(plan: Plan) -> Difference:
    """The difference as it stands, nothing changed: the lists of both families, and levers. Raises GatewayError."""
    if plan.target is None:
        raise GatewayError(ErrorCode.login, "unreadable")
    talk = Conversation(replace(plan, ipv6=True))
    with connect(plan.target, deadline=DEADLINE) as connection:
        talk.compare(connection)
    return talk.whole()


class Conversation:
    """What has been learned and done so far, over one or more connections."""

    def __init__(self, plan: Plan, remember: Remember = forget) -> None:
        self.plan = plan
        self.levers = Leverage(plan, remember)
        self.logged_in = False
        self.answered = 0
        self.made: set[int | None] = set()
        """Clients whose entry was added or enabled, or who were taken off; perhaps unanswered."""
        self.fresh: set[int] = set()
        """Clients wanted on a list who stood there by nothing of ours when we first looked."""
        self.looked = False
        self.difference = Difference()
        self.difference6 = Difference()
        self.no_ipv6 = False
        """The IPv6 lists should be written, and this router has none (then it routes no IPv6) or does not let us."""
        self.hidden6 = ""
        """Why the IPv6 lists could not be read, in the router's words, where it has some."""
        self.entries: list[Entry] = []
        """What stood on the lists of both families when we last looked, but for what levers of ours made."""
        self.standing: dict[str, dict[str, str]] = {}
        self.failures: dict[int, str] = {}
        self.leftovers = 0
        self.details: dict[int, str] = {}
        self.look_again = False

    @property
    def heard(self) -> int:
        """How many answers to changes have come."""
        return self.answered + self.levers.answered

    def hold(self, connection: Connection) -> None:
        """The whole conversation on one connection. Raises GatewayError where it breaks."""
        for last in (False,) * (LOOKS - 1) + (True,):
            self.compare(connection)
            if not self._send(connection, last):
                break
        self._end(connection)

    # Reading -----------------------------------------------------------------------------------------

    def compare(self, connection: Connection) -> Difference:
        """Read the lists and the rows of levers once and compare; the difference of the IPv4 lists."""
        entries = connection.read_lists(self.plan.lists.names)
        entries6 = self._read_ipv6(connection)
        self.levers.look(connection)
        explained = self.levers.explained
        entries = [e for e in entries if not (e.dynamic and (e.list, domain.normal(e.address)) in explained)]
        busy = frozenset(self.levers.facts.sessions.values())
        wanted = [*map(self._wanted, self.plan.subjects), *self._further(ipv6=False)]
        wanted6 = [*filter(None, map(self._wanted6, self.plan.subjects)), *self._further(ipv6=True)]
        self.difference = domain.difference(wanted, entries, self.plan.lists, busy)
        self.difference6 = domain.difference([] if self.no_ipv6 else wanted6, entries6, self.plan.lists, ipv6=True)
        self.standing, self.entries = _standing(entries, entries6), [*entries, *entries6]
        if not self.looked:
            self.looked = True
            self.fresh = {s.client_id for s in self.plan.subjects if s.wanted != "none" and not self._held(s)}
        return self.difference

    def _read_ipv6(self, connection: Connection) -> list[Entry]:
        """The entries of the IPv6 lists; none where nobody needs them."""
        needed = any(s.wanted != "none" and s.has_ipv6 for s in self.plan.subjects)
        self.no_ipv6, self.hidden6 = False, ""
        if not needed and not self.plan.ipv6:
            return []
        try:
            return connection.read_lists(self.plan.lists.names, ipv6=True)
        except GatewayError as error:
            if error.code not in (ErrorCode.trap, ErrorCode.permission):
                raise
            self.no_ipv6, self.hidden6 = True, "" if is_absent(error) else error.detail
            return []

    def _wanted(self, subject: Subject) -> Wanted:
        """What the IPv4 lists should say of a client. To judge a release the address that we last wrote will do."""
        choice = self.levers.choices[subject.client_id]
        if subject.wanted == "none":
            address = None if subject.gone else subject.address or subject.applied_address
            return Wanted(subject.client_id, subject.code, address, "")
        only6 = subject.connection == "static" and choice.address is None and subject.address6 is not None
        if not choice.listed or only6:
            return Wanted(subject.client_id, subject.code, None, "")
        return Wanted(subject.client_id, subject.code, choice.address, self.plan.list_of(subject.wanted))

    def _wanted6(self, subject: Subject) -> Wanted | None:
        """What the IPv6 lists should say of a client who has, or had, an address there."""
        address = subject.address6 or subject.applied_address6
        if address is None:
            return None
        name = self.plan.list_of(subject.wanted) if subject.address6 else ""
        return Wanted(subject.client_id, subject.code, None if subject.gone else domain.normal(address), name)

    def _further(self, *, ipv6: bool) -> list[Wanted]:
        """What the lists of one family should say of further addresses and networks: they are routed to the client also
        where its own address is held by its profile or its lease."""
        return [
            Wanted(s.client_id, s.code, domain.normal(network), self.plan.list_of(s.wanted), further=True)
            for s in self.plan.subjects
            for network in s.networks
            if (":" in network) is ipv6
        ]

    def _held(self, subject: Subject) -> bool:
        """Whether something of ours holds the client on the wanted list already."""
        by_lever = self.levers.standing.get(subject.client_id) == self.plan.list_of(subject.wanted)
        return by_lever or self.difference.verdicts[subject.client_id].held

    def both(self) -> Difference:
        """The difference of the lists of both families, in one."""
        found, more = self.difference, self.difference6
        return Difference(
            found.remove + more.remove, found.enable + more.enable, found.add + more.add, found.verdicts,
            found.foreign + more.foreign,
        )  # fmt: skip

    def whole(self) -> Difference:
        """Everything that differs, in one: levers as if they were entries whose address is the user or the device."""
        whole = self.both()
        put, back = self.levers.as_entries()
        return Difference(whole.remove + back, whole.enable, whole.add + put, whole.verdicts, whole.foreign)

    # Changing ----------------------------------------------------------------------------------------

    def _send(self, connection: Connection, last: bool) -> bool:
        """Send the difference; True where the answers leave a doubt that another look must settle.

        Entries first: where one of ours holds the address, the router makes none for a session or a lease.
        """
        self.failures, self.leftovers = {}, 0
        doubt = self._send_entries(connection, self.difference, last, ipv6=False)
        doubt |= self._send_entries(connection, self.difference6, last, ipv6=True)
        doubt |= self.levers.send(connection, last)
        self.made |= self.levers.made
        return doubt

    def _send_entries(self, connection: Connection, found: Difference, last: bool, *, ipv6: bool) -> bool:
        free = {s.client_id for s in self.plan.subjects if s.wanted == "none"}
        self.made |= {change.client_id for change in found.remove if change.client_id in free}
        if found.remove:
            answers = connection.remove_entries([c.id for c in found.remove], ipv6=ipv6)
            self._take(connection, found.remove, answers, removed=True)
        doubt = False
        self.made |= {change.client_id for change in found.enable}
        if found.enable:
            menu = menus.LISTS6 if ipv6 else menus.LISTS
            answers = connection.set(menu, [change.id for change in found.enable], {"disabled": "no"})
            doubt |= self._take(connection, found.enable, answers, last=last)
        self.made |= {add.client_id for add in found.add}
        if found.add:
            entries = [NewEntry(add.list, add.address, add.comment) for add in found.add]
            doubt |= self._take(connection, found.add, connection.add_entries(entries, ipv6=ipv6), last=last)
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
            family = 6 if ":" in command.address else 4
            entry = f"{family}{command.id}" if isinstance(command, Change) else f"{family}new:{command.list}"
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

    def _end(self, connection: Connection) -> None:
        """End what those have open who were cut just now, or whose profile is another one now: without it what is open
        stays open. Then the connections of those who were cut."""
        new = [s for s in self.plan.subjects if s.wanted != "none" and self._is_new(s) and self._stands(s)]
        users: Users = dict(self.levers.lifted_profiles())
        users |= {s.username: s.client_id for s in new if s.connection == "pppoe" and s.username and self._drops(s)}
        guests: Users = {s.username: s.client_id for s in new if self.levers.choices[s.client_id].kind == "hotspot"}
        ended = ending.ppp(connection, users)
        out = ending.hotspot(connection, guests)
        for refused, owners in ((ended.refused, users), (out.refused, guests)):
            for name, why in refused.items():
                client_id = owners[name]
                if client_id is not None:
                    self.details[client_id] = f"session: {why}"
        self.levers.keep_lifted(ended.refused)
        self.levers.keep_open(ended.refused, [s for s in new if s.connection == "pppoe"])
        self.levers.keep_open(out.refused, [s for s in new if s.connection == "hotspot"])
        self.look_again |= any(
            self.levers.choices[s.client_id].from_session and s.username in ended.addresses for s in new
        )
        addresses = [a for s in new if s.wanted == "cut" for a in self._addresses(s, ended, out)]
        broke = ending.connections(connection, addresses) if addresses else ""
        for subject in new if broke else ():
            self.details.setdefault(subject.client_id, f"connections: {broke}")

    def _drops(self, subject: Subject) -> bool:
        """A session keeps the profile that it began with; a notice by an entry leaves it alone."""
        return subject.wanted == "cut" or self.levers.choices[subject.client_id].kind == "profile"

    def _addresses(self, subject: Subject, ended: ending.Ended, out: ending.Ended) -> list[str]:
        """The addresses that a client who was cut just now may have connections from."""
        choice = self.levers.choices[subject.client_id]
        found = [self.difference.verdicts[subject.client_id].address, subject.address6, *subject.networks]
        found += (ended if subject.connection == "pppoe" else out).addresses.get(subject.username, [])
        if choice.kind == "lease":
            rows = self.levers.facts.rows(choice.kind, choice.name)
            found += [row.get("active-address") or row.get("address") for row in rows]
        return [domain.normal(address) for address in found if address]

    def _is_new(self, subject: Subject) -> bool:
        recorded = subject.here and (subject.cut if subject.wanted == "cut" else subject.notice)
        return not recorded or (subject.client_id in self.fresh and subject.client_id in self.made)

    def _stands(self, subject: Subject) -> bool:
        return not self._problem(subject)

    # What came of it ---------------------------------------------------------------------------------

    def result(self) -> Result:
        """How it ended for each client."""
        return Result(
            True,
            logged_in=True,
            clients={s.client_id: self._applied(s) for s in self.plan.subjects},
            sent=self.made,
            leftovers=self.leftovers + len(self.levers.stuck),
            look_again=self.look_again,
            undone=sorted(self.levers.undone),
            ipv6=self._may_hold_ipv6(),
        )

    def _may_hold_ipv6(self) -> bool:
        """Whether entries of ours stand on the IPv6 lists, or may."""
        if self.hidden6:
            return self.plan.ipv6
        return any(place.startswith("6") for standing in self.standing.values() for place in standing)

    def _judge(self, subject: Subject) -> Outcome:
        client_id, wanted = subject.client_id, subject.wanted
        verdict = self.difference.verdicts[client_id]
        verdict6 = self.difference6.verdicts.get(client_id, _NONE)
        foreign = verdict.foreign or verdict6.foreign or self.levers.foreign(subject)
        problem = self._problem(subject)
        if problem == "no_session":
            return Outcome("waits", wanted, None, problem)
        if problem:
            held = foreign or problem.startswith("foreign: ")
            return Outcome("failed", wanted, verdict.address, problem, held)
        written = self._ours(subject, verdict) and (not foreign or client_id in self.levers.made)
        state = "written" if written else "unchanged"
        detail = self.details.get(client_id, "")
        if not detail and self.no_ipv6 and wanted != "none" and subject.has_ipv6:
            detail = "ipv4_only"
        return Outcome(state, wanted, verdict.address, detail, foreign)

    def _problem(self, subject: Subject) -> str:
        """What stands in the way of what is wanted; empty for nothing. What the router refused comes first."""
        client_id = subject.client_id
        verdict, verdict6 = self.difference.verdicts[client_id], self.difference6.verdicts.get(client_id, _NONE)
        for one in (client_id, verdict.shared_with, verdict6.shared_with):
            if one is not None and one in self.failures:
                return f"router: {self.failures[one]}"
        problem = self.levers.problems.get(client_id) or self.levers.choices[client_id].problem
        if not problem and self.no_ipv6 and subject.wanted != "none" and subject.has_ipv6:
            problem = "no_ipv6" if self.hidden6 or not self._held_by_ipv4(subject) else ""
        if not problem and self._hides(subject):
            problem = f"router: {self.hidden6}"
        return problem or verdict.problem or self.levers.blocked.get(client_id, "") or verdict6.problem

    def _held_by_ipv4(self, subject: Subject) -> bool:
        """Whether anything but IPv6 holds the client: of a router without IPv6 that is all there is to hold."""
        only6 = subject.connection == "static" and not subject.address
        return not only6 or any(":" not in network for network in subject.networks)

    def _hides(self, subject: Subject) -> bool:
        """Whether an entry of IPv6 that should go may stand where we can't look."""
        return bool(self.hidden6) and subject.wanted == "none" and subject.applied_address6 is not None

    def _ours(self, subject: Subject, verdict: Verdict) -> bool:
        """Whether a command of ours made it so: in this conversation, or in an earlier one that broke off."""
        by_us = subject.client_id in self.made or verdict.shared_with in self.made
        return by_us or (subject.sent and not subject.settled)

    def _applied(self, subject: Subject) -> Applied:
        outcome = self._judge(subject)
        lists = set(self.standing.get(subject.code, {}).values())
        if outcome.state in ("written", "unchanged"):
            lists = {self.plan.list_of(subject.wanted)}
        else:
            lists.add(self.levers.standing.get(subject.client_id, ""))
            if self._hides(subject):
                lists.add(self.plan.lists.cut if subject.cut else self.plan.lists.notice)
            if outcome.foreign:
                lists.add(outcome.detail.removeprefix("foreign: "))
        verdict6 = self.difference6.verdicts.get(subject.client_id)
        address6 = verdict6.address if verdict6 is not None and subject.address6 and not self.no_ipv6 else None
        return Applied(
            outcome,
            self.plan.lists.cut in lists,
            self.plan.lists.notice in lists,
            subject.applied_address6 if self.hidden6 else address6,
            self.levers.lever(subject),
        )


def _standing(entries: Iterable[Entry], entries6: Iterable[Entry]) -> dict[str, dict[str, str]]:
    """The enabled entries of ours by code: family and id, and list."""
    standing: dict[str, dict[str, str]] = defaultdict(dict)
    for family, rows in ((4, entries), (6, entries6)):
        for entry in rows:
            code = domain.code_of(entry)
            if code is not None and not entry.disabled:
                standing[code][f"{family}{entry.id}"] = entry.list
    return standing
