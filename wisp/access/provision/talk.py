"""Talking to a router about what its clients need. Network only: knows no tables of ours, opens no transaction.

Each menu that is needed is read once, compared, and only the difference is sent. Where the answers leave a doubt it
reads again; where the connection breaks it connects again, reads, and sends what still differs.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wisp.access.provision import comparing, profiles
from wisp.access.provision.comparing import Change, Claim, Difference, Row, Verdict
from wisp.access.provision.profiles import Profiles
from wisp.access.provision.wanted import PROFILES, Profile
from wisp.gateway import (
    Command,
    Connection,
    ErrorCode,
    GatewayError,
    Outcome,
    Status,
    Target,
    connect,
    menus,
    text_of,
)

DEADLINE = 90.0
"""Seconds that one connection may take in all."""
CONNECTIONS = 3
"""How often a chunk connects at most."""
LOOKS = 5
"""How often the menus are read at most on one connection."""
_SESSIONS = {
    menus.SECRET: ((menus.PPP_ACTIVE, "name"),),
    menus.HOTSPOT_USER: ((menus.HOTSPOT_COOKIE, "user"), (menus.HOTSPOT_ACTIVE, "user")),
}
"""What keeps a user connected; a hotspot's cookie first, since it logs the device straight back in."""


@dataclass(frozen=True)
class Plan:
    """What some clients of a router need. ``target`` None: its password can't be read. ``menus``: those to read.

    ``kept``: profiles that must stay although no user has them now. ``left``: users of clients who are gone, by menu:
    their sessions end. ``everybody``: see comparing.difference.
    """

    router_id: int
    target: Target | None
    claims: Sequence[Claim]
    menus: Sequence[str]
    kept: frozenset[str] = frozenset()
    left: Mapping[str, frozenset[str]] = field(default_factory=dict)
    everybody: Mapping[str, str] | None = None


@dataclass
class Result:
    """How it ended. ``verdicts`` by client, ``written``: clients for whom something was sent and answered. ``added``,
    ``changed`` and ``removed`` count objects; those of others are among none of them."""

    reached: bool
    error: str = ""
    detail: str = ""
    logged_in: bool = False
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    written: set[int] = field(default_factory=set)
    added: int = 0
    changed: int = 0
    removed: int = 0


def provision(plan: Plan, renew: Callable[[], None]) -> Result:
    """Make the router hold what ``plan`` says. ``renew`` is called before each further connection.

    Never raises GatewayError. What was not answered is read again before anything is sent again.
    """
    if plan.target is None:
        return Result(False, "unreadable")
    talk = Talk(plan)
    error = GatewayError(ErrorCode.unreachable)
    for attempt in range(CONNECTIONS):
        connected = False
        if attempt:
            renew()
        try:
            with connect(plan.target, deadline=DEADLINE) as connection:
                connected = talk.result.logged_in = True
                talk.hold(connection)
            return talk.finished()
        except GatewayError as found:
            error = found
        if not connected or error.code in (ErrorCode.trap, ErrorCode.permission):
            break
    talk.result.reached, talk.result.error, talk.result.detail = False, error.code.value, error.detail
    return talk.result


def look(plan: Plan) -> tuple[Difference, comparing.Tables]:
    """How the router differs now, nothing changed. Raises GatewayError."""
    if plan.target is None:
        raise GatewayError(ErrorCode.login, "unreadable")
    talk = Talk(plan)
    with connect(plan.target, deadline=DEADLINE) as connection:
        talk.look(connection)
    return talk.difference, talk.tables


class Talk:
    """What has been learned and done so far, over one or more connections."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.result = Result(True)
        self.difference = Difference()
        self.tables: dict[str, list[Row] | None] = {}
        self.profiles: dict[str, Profiles] = {}
        self.failures: dict[int, str] = {}
        self.made_static: set[str] = set()
        self.ended: dict[str, set[str]] = defaultdict(set)

    def hold(self, connection: Connection) -> None:
        """The whole conversation on one connection. Raises GatewayError where it breaks."""
        for number in range(LOOKS):
            self.look(connection)
            if not self._send(connection, last=number == LOOKS - 1):
                break
        self._end_sessions(connection)

    def finished(self) -> Result:
        """The result, with what the router refused."""
        self.result.verdicts = dict(self.difference.verdicts)
        for client_id, text in self.failures.items():
            self.result.verdicts[client_id] = Verdict("failed", f"router: {text}")
        return self.result

    # Reading -----------------------------------------------------------------------------------------

    def look(self, connection: Connection) -> None:
        """Read what is needed and compare."""
        self.tables = {menu: _rows(connection, menu, comparing.PROPERTIES[menu]) for menu in self.plan.menus}
        wanted: dict[str, list[Profile]] = defaultdict(list)
        for claim in self.plan.claims:
            profile = claim.need.object.profile if claim.need is not None and claim.need.object is not None else None
            if profile is not None:
                wanted[profile.menu].append(profile)
        raw: dict[str, list[Row]] = {}
        self.profiles = {}
        for menu in self.plan.menus:
            of = PROFILES.get(menu)
            if of is not None and self.tables[menu] is not None:
                raw[of] = list(connection.read(of, profiles.PROPERTIES[of]))
                self.profiles[of] = profiles.compare(of, wanted[of], raw[of])
        problems = {name: text for found in self.profiles.values() for name, text in found.problems.items()}
        self.difference = comparing.difference(
            self.plan.claims, self.tables, problems=problems, everybody=self.plan.everybody,
            made_static=self.made_static,
        )  # fmt: skip
        for menu, of in PROFILES.items():
            if of in self.profiles:
                kept = self.plan.kept | self.difference.used_after[menu] | {p.name for p in wanted[of]}
                profiles.clear(of, self.profiles[of], raw[of], kept, self.difference.used_before[menu])

    # Changing ----------------------------------------------------------------------------------------

    def _send(self, connection: Connection, *, last: bool) -> bool:
        """Send what differs, group by group; True where another look is needed."""
        found = self.difference
        self.failures = {}
        for of, profile in self.profiles.items():
            self._make_profiles(connection, of, profile)
        doubt = self._remove(connection, found.remove)
        self.made_static |= {change.values["mac-address"] for change in found.make_static}
        for verb, changes in (
            ("set", found.release), ("make-static", found.make_static), ("set", found.change), ("unset", found.unset),
            ("add", found.add),
        ):  # fmt: skip
            doubt |= self._run(connection, verb, changes, last=last)
        for of, profile in self.profiles.items():
            connection.remove(of, profile.remove)
            _check(connection)
        later = found.later or any(profile.later for profile in self.profiles.values())
        return (doubt or later) and not last

    def _make_profiles(self, connection: Connection, of: str, found: Profiles) -> None:
        """What the router refuses shows in the answers to the users who need it."""
        connection.add(of, found.add, raw=True)
        _check(connection)
        connection.change(of, found.change, raw=True)
        _check(connection)
        unset = [Command(f"{of}/unset", {".id": row_id, "value-name": name}) for row_id, name in found.unset]
        connection.run(unset)
        _check(connection)

    def _remove(self, connection: Connection, changes: Sequence[Change]) -> bool:
        """Take objects of ours away; one that is not there any more is as good."""
        for menu in dict.fromkeys(change.menu for change in changes):
            mine = [change for change in changes if change.menu == menu]
            answers = connection.remove(menu, [change.id for change in mine])
            for change, answer in zip(mine, answers, strict=True):
                if answer.status is Status.failed:
                    self._fail(change, answer)
                elif answer.status is not Status.unknown:
                    self.result.removed += answer.status is Status.ok
                    self._done(change)
            _check(connection)
        return False

    def _run(self, connection: Connection, verb: str, changes: Sequence[Change], *, last: bool) -> bool:
        """Send one group of changes; True where an answer is a reason to look again."""
        doubt = False
        answers = connection.run([Command(f"{c.menu}/{verb}", _words(verb, c)) for c in changes])
        for change, answer in zip(changes, answers, strict=True):
            if answer.status is Status.ok:
                self._done(change)
                self.result.added += verb == "add"
                self.result.changed += verb == "set"
            elif answer.status is Status.failed or (last and answer.status is not Status.unknown):
                self._fail(change, answer)
            else:
                doubt = True
        _check(connection)
        return doubt

    def _done(self, change: Change) -> None:
        if change.client_id is not None:
            self.result.written.add(change.client_id)
        self.ended[change.menu] |= set(change.names)

    def _fail(self, change: Change, answer: Outcome) -> None:
        if change.client_id is not None:
            self.failures[change.client_id] = answer.text

    # Sessions ----------------------------------------------------------------------------------------

    def _end_sessions(self, connection: Connection) -> None:
        """End what is open of users who are gone, or whose changes hold only when they connect again."""
        for menu, places in _SESSIONS.items():
            names = self.ended[menu] | (self.plan.left.get(menu, frozenset()) - self._standing(menu))
            if not names or self.tables.get(menu) is None:
                continue
            for place, name in places:
                rows = _rows(connection, place, (".id", name, "radius")) or []
                mine = [row[".id"] for row in rows if row.get(name) in names and row.get("radius") != "true"]
                connection.remove(place, mine)
                _check(connection)

    def _standing(self, menu: str) -> set[str]:
        """Users who are still there: their sessions are not those of somebody who left."""
        gone = {change.id for change in self.difference.remove}
        return {row.get("name", "") for row in self.tables.get(menu) or () if row[".id"] not in gone}


def _words(verb: str, change: Change) -> dict[str, str]:
    if verb == "make-static":
        return {".id": change.id}
    return dict(change.values) if verb == "add" else {".id": change.id, **change.values}


def _rows(connection: Connection, menu: str, properties: Iterable[str]) -> list[Row] | None:
    """The rows of a menu, readable; None where this router has no such menu."""
    try:
        rows = connection.read(menu, tuple(properties))
    except GatewayError as error:
        if error.code is ErrorCode.trap and error.detail.startswith("no such command"):
            return None
        raise
    return [{name: text_of(value) for name, value in row.items()} for row in rows]


def _check(connection: Connection) -> None:
    if connection.error is not None:
        raise connection.error
