"""Moving levers on a router: compare the rows with what they should be, remember, send what differs. Network only."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from wisp.access import copies
from wisp.access import facts as reading
from wisp.access.domain import TAG, Add, Change
from wisp.access.levers import MENU, Choice, Desk, Facts, Lever, Problem, choose, holding, still_theirs
from wisp.access.plan import Left, Plan, Record, Subject
from wisp.gateway import Connection, Row, Status, menus, text_of
from wisp.gateway import Outcome as Answer

Remember = Callable[[Sequence[Record]], Sequence[Left]]
"""Write down levers before they are moved. Returns what it took the place of: to be put back, like what was left."""
Place = tuple[str, str]
"""A menu and an id in it."""
_KINDS = {"pppoe": ("profile", "disable"), "hotspot": ("hotspot",), "dhcp": ("lease",)}
"""The levers of each kind of connection."""
_SESSIONS = [menus.PPP_ACTIVE, menus.HOTSPOT_ACTIVE]
_ASKED = {"no_user": [menus.HOTSPOT_USER], "no_lease": [menus.LEASE], "no_session": _SESSIONS}
"""The menus whose silence is no answer, by what would be said otherwise."""


def _who(kind: str, row: Row) -> str:
    """The user or the device of a row, for people."""
    return text_of(row.get("mac-address" if kind == "lease" else "name", ""))


def forget(_records: Sequence[Record]) -> Sequence[Left]:
    """Remember nothing: for looking only."""
    return ()


class Leverage:
    """The levers of one conversation, over one or more connections."""

    def __init__(self, plan: Plan, remember: Remember) -> None:
        self.plan = plan
        self.recorded = {s.client_id: s.lever for s in plan.subjects}
        self.left = {left.id: left for left in plan.left}
        self.undone: set[int] = set()
        self.made: set[int] = set()
        """Clients for whose rows a command went out; perhaps unanswered."""
        self.answered = 0
        self.facts = Facts()
        self.choices: dict[int, Choice] = {}
        self.problems: dict[int, str] = {}
        self.blocked: dict[int, str] = {}
        """Clients who should be free and whom somebody else's doing holds, after all of ours is put back."""
        self.stuck: set[int] = set()
        """Ids of what was left and could not be put back."""
        self.standing: dict[int, str] = {}
        """The list on which a lever holds a client, by client."""
        self._remember = remember
        self._desk = Desk(self.facts, plan.lists)
        self._next: dict[int, Lever] = {}
        self._rows: dict[int, list[tuple[str, str]]] = {}
        self._old: dict[int, Lever] = {}

    # Reading -----------------------------------------------------------------------------------------

    def look(self, connection: Connection) -> None:
        """Read the rows and decide what they should be."""
        if self.plan.ipv6:
            self._find_orphans(connection)
        left = [one.lever for one in self.left.values() if one.id not in self.undone]
        self.facts = reading.read(connection, self.plan, self.recorded, left)
        self._decide()

    def _find_orphans(self, connection: Connection) -> None:
        """Take users on profiles of ours whom nobody here knows of for what somebody left behind (of no client): the
        router, or our database, is as it was before."""
        known = {reading.name_of(s) for s in self.plan.subjects if s.connection == "pppoe" and s.wanted != "none"}
        known |= {lever.name for lever in (*self.recorded.values(), *(one.lever for one in self.left.values()))}
        for name in reading.orphans(connection, self.plan.lists) - known:
            number = -1 - len(self.left)
            self.left[number] = Left(number, 0, Lever("profile", name))

    def _decide(self) -> None:
        self._desk = Desk(self.facts, self.plan.lists)
        self.problems, self.blocked, self._next, self._rows, self._old = {}, {}, {}, {}, {}
        self.stuck, self.standing = set(), {}
        for one in self.left.values():
            if one.id not in self.undone:
                try:
                    self._desk.put_back(one.lever)
                except Problem:
                    self.stuck.add(one.id)
        for subject in self.plan.subjects:
            self.choices[subject.client_id] = self._choose(subject)
            self._hold(subject, self.choices[subject.client_id])
        # All are put back before any is moved: a row may be one client's no more and another's by now.
        for step in (self._put_back, self._move):
            for subject in self.plan.subjects:
                if subject.client_id not in self.problems:
                    try:
                        step(subject, self.choices[subject.client_id])
                    except Problem as problem:
                        self.problems[subject.client_id] = problem.detail
        self._share()

    def _share(self) -> None:
        """Note who should be free and has the device of somebody else who is cut."""
        held = {
            self.choices[s.client_id].name: s for s in self.plan.subjects if self.choices[s.client_id].kind == "lease"
        }
        for subject in self.plan.subjects:
            mine = subject.connection == "dhcp" and subject.wanted == "none" and not subject.gone
            if mine and reading.name_of(subject) in held:
                self.blocked.setdefault(subject.client_id, f"shared: {held[reading.name_of(subject)].code}")

    def _choose(self, subject: Subject) -> Choice:
        if subject.wanted == "none":
            return Choice()
        recorded = self.recorded[subject.client_id]
        if recorded.kind in ("profile", "disable", "lease") and self._unseen(recorded, subject):
            return Choice(kind=recorded.kind, name=recorded.name)  # no entry beside what may stand already
        name, mode = reading.name_of(subject), self.plan.pppoe_cut
        return choose(subject.connection, subject.wanted, subject.address, name, self.facts, mode)

    def _unseen(self, lever: Lever, subject: Subject) -> bool:
        """Whether the router hides the rows of this lever, and it is one of the client's present connection."""
        return MENU[lever.kind] in self.facts.unread and lever.kind in _KINDS.get(subject.connection, ())

    def _hold(self, subject: Subject, choice: Choice) -> None:
        """Note on which list a lever holds the client as things stand."""
        recorded = self.recorded[subject.client_id]
        if not recorded.kind and not choice.kind:
            return
        if recorded.kind and MENU[recorded.kind] in self.facts.unread and (subject.cut or subject.notice):
            self.standing[subject.client_id] = self.plan.lists.cut if subject.cut else self.plan.lists.notice
        for kind, name in {recorded.place, (choice.kind, choice.name)}:
            if kind:
                found = holding(kind, self.facts.rows(kind, name), recorded, self.plan.lists)
                if found:
                    self.standing[subject.client_id] = found

    def _put_back(self, subject: Subject, choice: Choice) -> None:
        """Put back the lever that is remembered, where it is not the one that is wanted."""
        recorded = self.recorded[subject.client_id]
        hidden = [MENU[recorded.kind]] if recorded.kind else _ASKED.get(choice.problem, ())
        if reading.is_open(subject) and choice.listed and choice.address is None:
            hidden = [*hidden, menus.SECRET, menus.PPP_ACTIVE]
        for menu in hidden:
            if menu in self.facts.unread:
                raise Problem(f"router: {self.facts.unread[menu]}")
        if recorded.kind and recorded.place != (choice.kind, choice.name):
            old = self._renamed(subject, recorded) or recorded
            self._rows.setdefault(subject.client_id, []).append(old.place)
            self._old[subject.client_id] = old
            self._desk.put_back(old)
            theirs = still_theirs(old, self.facts.rows(*old.place), self.plan.lists) if old.kind == "lease" else ""
            if theirs and subject.wanted == "none":
                self.blocked[subject.client_id] = f"foreign: {theirs}"

    def _move(self, subject: Subject, choice: Choice) -> None:
        """Move the lever that is wanted, if any."""
        if choice.kind:
            same = subject.client_id not in self._old
            recorded = self.recorded[subject.client_id] if same else Lever()
            self._rows.setdefault(subject.client_id, []).append((choice.kind, choice.name))
            lever = self._desk.move(choice.kind, choice.name, recorded, self.plan.list_of(subject.wanted))
            self._next[subject.client_id] = lever

    def _renamed(self, subject: Subject, recorded: Lever) -> Lever | None:
        """The lever under the name that the client has by now, where nothing on the router has the old one."""
        name = reading.name_of(subject)
        if self.facts.rows(*recorded.place) or recorded.kind not in _KINDS.get(subject.connection, ()):
            return None
        return recorded._replace(name=name) if self.facts.rows(recorded.kind, name) else None

    @property
    def explained(self) -> set[tuple[str, str]]:
        """Lists and addresses of the entries that the router makes because of levers of ours."""
        found = set()
        for subject in self.plan.subjects:
            name = self.standing.get(subject.client_id)
            if name is None:
                continue
            recorded = self.recorded[subject.client_id]
            for row in self.facts.rows(*recorded.place) if recorded.kind == "lease" else ():
                found.add((name, row.get("active-address") or row.get("address", "")))
            if recorded.kind == "profile" and recorded.name in self.facts.sessions:
                found.add((name, self.facts.sessions[recorded.name]))
        return found

    def foreign(self, subject: Subject) -> bool:
        """Whether somebody else had put the client's lease on the wanted list before us."""
        lever = self._next.get(subject.client_id)
        return (
            lever is not None and lever.kind == "lease" and self.plan.list_of(subject.wanted) in lever.before.split(",")
        )

    def _differing(self) -> list[tuple[Subject, str, Row]]:
        """Clients whose rows differ from what is wanted: the client, the kind of lever, the row."""
        return [
            (subject, kind, row)
            for subject in self.plan.subjects
            for kind, name in self._rows.get(subject.client_id, ())
            for row, _values in self._desk.changed(kind, name)
        ]

    def as_entries(self) -> tuple[list[Add], list[Change]]:
        """What differs, as if it were entries whose address is the user or the device: what is missing, and what is to
        be put back (of no client, where it was left behind)."""
        put, back = [], []
        for subject, kind, row in self._differing():
            name = self.plan.list_of(subject.wanted)
            if name:
                put.append(Add(subject.client_id, subject.code, name, _who(kind, row)))
            else:
                name = self.standing.get(subject.client_id, self.plan.lists.cut)
                back.append(Change(row[".id"], name, _who(kind, row), subject.code, subject.client_id))
        for one in self.left.values():
            if one.id not in self.undone:
                for row, _values in self._desk.changed(*one.lever.place):
                    back.append(Change(row[".id"], self.plan.lists.cut, _who(one.lever.kind, row), one.code, None))
        return put, back

    # Changing ----------------------------------------------------------------------------------------

    def send(self, connection: Connection, last: bool) -> bool:
        """Send what differs; True where the answers leave a doubt that another look must settle."""
        self._write_down()
        if self._make_static(connection):
            self._write_down()
        refused, doubt = copies.send(connection, self._desk)
        answers = self._send_rows(connection, refused)
        if connection.error is not None:
            raise connection.error
        for subject in self.plan.subjects:
            doubt |= self._settle(subject, answers, last)
        for one in self.left.values():
            if one.id not in self.undone and one.id not in self.stuck:
                doubt |= self._settle_left(one, answers)
        return doubt

    def _write_down(self) -> None:
        """Remember each lever before it is moved."""
        records = [
            Record(subject.client_id, self._next[subject.client_id], subject.version)
            for subject in self.plan.subjects
            if subject.client_id in self._next and self._next[subject.client_id] != self.recorded[subject.client_id]
        ]
        if records:
            replaced = self._remember(records)
            # Of a client who moved meanwhile it is the lever itself that is left: the next conversation puts it back.
            old = [left for left in replaced if left.lever.place != self._next[left.client_id].place]
            self.left |= {left.id: left for left in old}
            self.recorded |= {record.client_id: record.lever for record in records}

    def _make_static(self, connection: Connection) -> bool:
        """Dynamic leases can't be changed: make static those that must be; True where anything was read again."""
        ids = {
            row[".id"]: subject
            for subject, kind, row in self._differing()
            if kind == "lease" and row.get("dynamic") == "true"
        }
        if not ids:
            return False
        before = {row[".id"] for rows in self.facts.leases.values() for row in rows if row.get("dynamic") != "true"}
        answers = dict(zip(ids, connection.make_static(list(ids)), strict=True))
        if connection.error is not None:
            raise connection.error
        done = [subject for row_id, subject in ids.items() if answers[row_id].status is Status.ok]
        self.made |= {subject.client_id for subject in done}
        reading.read_leases(connection, self.facts, set(self.facts.leases))
        self._mark_leases(connection, done, before)
        self._decide()
        for row_id, subject in ids.items():
            if answers[row_id].status is Status.failed:
                self.problems[subject.client_id] = f"router: {answers[row_id].text}"
        return True

    def _mark_leases(self, connection: Connection, subjects: Sequence[Subject], before: Collection[str]) -> None:
        """Write whose they are on the leases that have just become static: without our mark they would be somebody
        else's for whoever looks at them next. ``before``: ids of those that were static already."""
        new = [
            (row[".id"], {"comment": f"{TAG}{subject.code}"})
            for subject in subjects
            for row in self.facts.leases.get(reading.name_of(subject), ())
            if row.get("dynamic") != "true" and row[".id"] not in before
        ]
        if new:
            connection.change(menus.LEASE, new)
        if connection.error is not None:
            raise connection.error

    def _send_rows(self, connection: Connection, refused: dict[str, str]) -> dict[Place, Answer]:
        """Send the changes of rows, those with the same values together; the answers by row."""
        groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = defaultdict(list)
        for (menu, row_id), values in self._changes().items():
            groups[menu, tuple(sorted(values.items()))].append(row_id)
        answers: dict[Place, Answer] = {}
        for (menu, pairs), ids in groups.items():
            if connection.error is not None:
                break
            why = refused.get(dict(pairs).get("profile", ""))
            if why is not None:
                answers |= {(menu, row_id): Answer(Status.failed, text=why) for row_id in ids}
                continue
            outcomes = connection.set(menu, ids, dict(pairs), raw=True)
            self.answered += sum(outcome.status is not Status.unknown for outcome in outcomes)
            answers |= {(menu, row_id): outcome for row_id, outcome in zip(ids, outcomes, strict=True)}
        return answers

    def _changes(self) -> dict[Place, Row]:
        places = {
            place
            for subject in self.plan.subjects
            if subject.client_id not in self.problems
            for place in self._rows.get(subject.client_id, ())
        }
        left = [one for one in self.left.values() if one.id not in self.undone and one.id not in self.stuck]
        places |= {one.lever.place for one in left}
        changes: dict[Place, Row] = {}
        for kind, name in sorted(places):
            for row, values in self._desk.changed(kind, name):
                changes.setdefault((MENU[kind], row[".id"]), {}).update(values)
        for subject in self.plan.subjects:
            if any((MENU[k], row[".id"]) in changes for k, n in self._rows.get(subject.client_id, ())
                   for row in self.facts.rows(k, n)):  # fmt: skip
                self.made.add(subject.client_id)
        return changes

    def _answers(self, places: Sequence[tuple[str, str]], answers: dict[Place, Answer]) -> list[Answer]:
        rows = [(MENU[kind], row[".id"]) for kind, name in places for row in self.facts.rows(kind, name)]
        return [answers[place] for place in rows if place in answers]

    def _settle(self, subject: Subject, answers: dict[Place, Answer], last: bool) -> bool:
        if subject.client_id in self.problems:
            return False
        if subject.client_id not in self._rows:
            self.standing.pop(subject.client_id, None)
            return False
        found = self._answers(self._rows[subject.client_id], answers)
        bad = next((a for a in found if a.status is Status.failed or (last and a.status is not Status.ok)), None)
        if bad is not None:
            self.problems[subject.client_id] = f"router: {bad.text}"
            return False
        if any(answer.status is not Status.ok for answer in found):
            return True
        if self.choices[subject.client_id].kind:
            self.standing[subject.client_id] = self.plan.list_of(subject.wanted)
        else:
            self.standing.pop(subject.client_id, None)
        return False

    def _settle_left(self, left: Left, answers: dict[Place, Answer]) -> bool:
        found = self._answers([left.lever.place], answers)
        if any(answer.status is Status.failed for answer in found):
            self.stuck.add(left.id)
            return False
        if any(answer.status is not Status.ok for answer in found):
            return True
        self.undone.add(left.id)
        return False

    # What came of it ---------------------------------------------------------------------------------

    def lever(self, subject: Subject) -> Lever:
        """The lever by which the client stands now, as it is to be kept."""
        client_id = subject.client_id
        kept = client_id in self.problems or client_id in self.blocked or self._missing(subject)
        return self.recorded[client_id] if kept or self.choices[client_id].kind else Lever()

    def _missing(self, subject: Subject) -> bool:
        """Whether nothing on the router has the name of a client who is cut: perhaps it is called otherwise there by
        now, and here only later. Then what was before is needed."""
        recorded = self.recorded[subject.client_id]
        same = recorded.kind in _KINDS.get(subject.connection, ()) and recorded.name == reading.name_of(subject)
        return same and subject.wanted != "none" and not self.facts.rows(*recorded.place)

    def keep_lifted(self, refused: Mapping[str, str]) -> None:
        """Sessions with the old profile go on: their users are not free yet, and it is tried again."""
        for subject in self.plan.subjects:
            old = self._old.get(subject.client_id)
            if old is not None and old.kind == "profile" and subject.wanted == "none" and old.name in refused:
                self.problems.setdefault(subject.client_id, f"old_session: {refused[old.name]}")
        still = {o.id for o in self.left.values() if o.lever.kind == "profile" and o.lever.name in refused}
        self.stuck |= still & self.undone
        self.undone -= still

    def keep_open(self, refused: Mapping[str, str], new: Iterable[Subject]) -> None:
        """Sessions of those who were cut just now go on as they began: where nothing but the row of the user holds
        them, they are not cut yet, and it is tried again."""
        for subject in new:
            choice = self.choices[subject.client_id]
            if choice.kind in ("profile", "disable", "hotspot") and not choice.listed and choice.name in refused:
                self.problems[subject.client_id] = f"session_goes_on: {refused[choice.name]}"
                self.standing.pop(subject.client_id, None)

    def lifted_profiles(self) -> dict[str, int | None]:
        """Users whose profile was put back: their sessions still have the other one. By name, the client."""
        found: dict[str, int | None] = {}
        for subject in self.plan.subjects:
            old = self._old.get(subject.client_id)
            if old is not None and old.kind == "profile" and subject.client_id not in self.problems:
                found[old.name] = subject.client_id
        for one in self.left.values():
            if one.id in self.undone and one.lever.kind == "profile":
                found.setdefault(one.lever.name, None)
        return found
