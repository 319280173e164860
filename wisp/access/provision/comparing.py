"""How the objects of clients on a router differ from those that they need. Pure: values in, values out.

Ours is what has our mark with a client's code. An object of somebody else is never changed: where it stands in the
way of one of ours, the client is told so.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wisp.access.provision.normal import same
from wisp.access.provision.wanted import MENU, PROFILES, Need, Object, code_of
from wisp.gateway import canonical_address, menus

Row = Mapping[str, str]
"""A row as read, its texts readable; what is not set is absent."""
Tables = Mapping[str, Sequence[Row] | None]
"""The rows of each menu that was read, in their order; None where this router has no such menu."""

PROPERTIES = {
    menus.QUEUE: (".id", "name", "target", "max-limit", "comment", "disabled", "dynamic"),
    menus.SECRET: (
        ".id", "name", "password", "service", "profile", "remote-address", "remote-ipv6-prefix", "comment", "disabled",
    ),
    menus.HOTSPOT_USER: (
        ".id", "name", "password", "profile", "mac-address", "address", "comment", "disabled", "dynamic",
    ),
    menus.LEASE: (
        ".id", "address", "mac-address", "rate-limit", "address-lists", "comment", "disabled", "dynamic",
    ),
}  # fmt: skip
"""What is read of each menu."""
_TEXTS = ("rate-limit",)
"""Properties that are taken away by writing nothing; the others are unset."""
_ADDRESS = re.compile(r"[0-9.]+|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")


@dataclass(frozen=True)
class Claim:
    """A client in one comparison; ``need`` None: it is not, or no longer, on this router. ``menu``: that of its
    connection."""

    client_id: int
    code: str
    menu: str
    need: Need | None


@dataclass(frozen=True)
class Change:
    """One command. ``client_id`` None: for something that no client of the comparison has. ``names``: users whose
    sessions end once it is answered."""

    menu: str
    id: str
    client_id: int | None
    values: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """How it stands for one client once everything is answered: a state and detail of models.ClientProvision.

    ``foreign``: id of the object that stands in the way. ``held_profile``: what its user gets when the lever is let go.
    """

    state: str
    detail: str = ""
    foreign: str = ""
    held_profile: str = ""


@dataclass
class Difference:
    """The commands, in the order in which their groups are sent, and a verdict for each client. ``later``: something
    can be decided only by another look. ``used``: profiles by the menu of their users: now, and after the commands."""

    remove: list[Change] = field(default_factory=list)
    release: list[Change] = field(default_factory=list)
    make_static: list[Change] = field(default_factory=list)
    change: list[Change] = field(default_factory=list)
    unset: list[Change] = field(default_factory=list)
    add: list[Change] = field(default_factory=list)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    later: bool = False
    used_before: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    used_after: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def empty(self) -> bool:
        """There is nothing to send."""
        return not (self.remove or self.release or self.make_static or self.change or self.unset or self.add)


def difference(
    claims: Iterable[Claim],
    tables: Tables,
    *,
    problems: Mapping[str, str] | None = None,
    everybody: Mapping[str, str] | None = None,
    made_static: Collection[str] = (),
) -> Difference:
    """Compare what ``claims`` need with ``tables``.

    ``problems``: profiles that cannot be had, by name. ``everybody``: the menu of every client of the router by code;
    where it is given, objects of ours for anybody else go. ``made_static``: leases (by MAC) that we have made static
    and not yet marked.
    """
    claims = list(claims)
    result = Difference()
    for menu, rows in tables.items():
        if menu in PROPERTIES:
            _Menu(menu, rows, claims, result, problems or {}, everybody, made_static).run()
    for claim in claims:
        _say_the_rest(claim, result)
    return result


def _say_the_rest(claim: Claim, result: Difference) -> None:
    """The verdict of a client who needs no object, or cannot have one."""
    if claim.need is None:
        result.verdicts[claim.client_id] = Verdict("done")
    elif claim.need.problem:
        result.verdicts[claim.client_id] = Verdict("failed", claim.need.problem)
    elif claim.need.object is None:
        result.verdicts[claim.client_id] = Verdict("done", claim.need.note)


class _Menu:
    """The comparison of one menu."""

    def __init__(
        self, menu: str, rows: Sequence[Row] | None, claims: Sequence[Claim], result: Difference,
        problems: Mapping[str, str], everybody: Mapping[str, str] | None, made_static: Collection[str],
    ) -> None:  # fmt: skip
        self.menu = menu
        self.absent = rows is None
        self.result = result
        self.problems = problems
        self.everybody = everybody
        self.claims = {claim.code: claim for claim in claims}
        self.wanted: dict[str, Object] = {}
        for claim in claims:
            wanted = claim.need.object if claim.need is not None else None
            if wanted is not None and wanted.menu == menu:
                self.wanted[claim.code] = wanted
        self.rows = [row for row in rows or () if row.get("dynamic") != "true"]
        self.place = {row[".id"]: number for number, row in enumerate(self.rows)}
        self.loose = {row.get("mac-address", ""): row for row in rows or () if row.get("dynamic") == "true"}
        self.ours: dict[str, list[Row]] = defaultdict(list)
        self.holders: dict[tuple[str, str], Row] = {}
        self.foreign: dict[tuple[str, str], Row] = {}
        by_mac = {w.holds["mac-address"]: w.code for w in self.wanted.values() if "mac-address" in w.holds}
        for row in self.rows:
            code = code_of(row.get("comment", ""))
            if code is None and not row.get("comment") and row.get("mac-address") in made_static:
                code = by_mac.get(row["mac-address"])
            if code is None:
                for key in _keys(menu, row):
                    self.foreign.setdefault(key, row)
                continue
            self.ours[code].append(row)
            for key in _keys(menu, row):
                self.holders.setdefault(key, row)
        self.code_of = {row[".id"]: code for code, found in self.ours.items() for row in found}
        self.gone: set[str] = set()
        self.freed: dict[str, Row] = {}
        self.rewritten: set[str] = set()

    def run(self) -> None:
        """Write commands and verdicts into the result."""
        for code, rows in self.ours.items():
            claim = self.claims.get(code)
            if claim is not None:
                stays = claim.need is not None and claim.need.problem and claim.menu == self.menu
                leaves = code not in self.wanted and not stays
            else:
                leaves = self.everybody is not None and self.everybody.get(code) != self.menu
            if leaves:
                for row in rows:
                    self._remove(row, claim)
        for code, wanted in self.wanted.items():
            self.result.verdicts[self.claims[code].client_id] = self._settle(self.claims[code], wanted)
        for row in self.rows:
            if self.menu in PROFILES and "profile" in row:
                self.result.used_before[self.menu].add(row["profile"])
                if row[".id"] not in self.gone | self.rewritten:
                    self.result.used_after[self.menu].add(row["profile"])

    # One client -------------------------------------------------------------------------------------

    def _settle(self, claim: Claim, wanted: Object) -> Verdict:
        if self.absent:
            return Verdict("failed", "no_menu")
        if wanted.profile is not None and wanted.profile.name in self.problems:
            return Verdict("failed", self.problems[wanted.profile.name])
        mine = [row for row in self.ours.get(claim.code, ()) if row[".id"] not in self.gone]
        mine.sort(key=lambda row: (-self._matches(row, wanted), self.place[row[".id"]]))
        for extra in mine[1:]:
            self._remove(extra, claim)
        row = mine[0] if mine else None
        stranger = self._stranger(wanted)
        if stranger is not None and (row is None or not self._beside(wanted, stranger)):
            return Verdict("foreign", foreign=stranger[".id"])
        refused = self._free_the_way(claim, wanted)
        if refused is not None:
            return refused
        held = wanted.profile.name if wanted.held and wanted.profile is not None else ""
        if row is None:
            return self._add(claim, wanted, self.freed.get(claim.code), held)
        self._change(claim, wanted, row)
        if stranger is not None and self.place[stranger[".id"]] < self.place[row[".id"]]:
            return Verdict("foreign", foreign=stranger[".id"])
        if held and wanted.held != "profile" and not same("profile", row.get("profile", ""), held):
            return Verdict("waiting", "held")
        return Verdict("done", held_profile=held)

    def _matches(self, row: Row, wanted: Object) -> int:
        return sum(same(name, row.get(name, ""), value) for name, value in wanted.holds.items())

    def _stranger(self, wanted: Object) -> Row | None:
        """Somebody else's object that has what this one must have alone."""
        for key in _keys(self.menu, wanted.holds):
            row = self.foreign.get(key)
            if row is not None:
                return row
        return None

    def _beside(self, wanted: Object, stranger: Row) -> bool:
        """Whether ours can stand beside it: two queues may have the same target, the first one counts."""
        return self.menu == menus.QUEUE and stranger.get("name") != wanted.values["name"]

    def _free_the_way(self, claim: Claim, wanted: Object) -> Verdict | None:
        """Take what this client needs off another object of ours: its client has it no more, since no two clients of a
        router share it. A MAC may be shared, so it is taken only off one who is known to have another now."""
        for key in _keys(self.menu, wanted.holds):
            row = self.holders.get(key)
            code = self.code_of[row[".id"]] if row is not None else claim.code
            if row is None or code == claim.code or row[".id"] in self.gone or self.menu == menus.QUEUE:
                continue
            other = self.wanted.get(code)
            if key[0] == "mac-address" and (other is None or other.holds["mac-address"] == key[1]):
                return Verdict("failed", f"shared: {code}")
            self._release(row, self.claims.get(code))
        return None

    def _release(self, row: Row, owner: Claim | None) -> None:
        """A user gets a name that nobody wants, a lease goes; what its client needs comes after that."""
        if self.menu == menus.LEASE:
            self._remove(row, owner)
            self.freed[self.code_of[row[".id"]]] = row
            if owner is not None and owner.client_id in self.result.verdicts:  # its turn was before this one's
                self._undo(owner.client_id, row)
                self.result.verdicts[owner.client_id] = self._add(owner, self.wanted[owner.code], row, "")
        else:
            client_id = owner.client_id if owner is not None else None
            name = f"wisp-tmp-{row['.id'].lstrip('*')}"
            self.result.release.append(Change(self.menu, row[".id"], client_id, {"name": name}))

    def _undo(self, client_id: int, row: Row) -> None:
        for group in (self.result.change, self.result.unset):
            group[:] = [change for change in group if change.id != row[".id"]]

    def _remove(self, row: Row, claim: Claim | None) -> None:
        if row[".id"] in self.gone:
            return
        self.gone.add(row[".id"])
        names = (row["name"],) if self.menu in PROFILES and "name" in row else ()
        client_id = claim.client_id if claim is not None else None
        self.result.remove.append(Change(self.menu, row[".id"], client_id, names=names))

    def _add(self, claim: Claim, wanted: Object, former: Row | None, held: str) -> Verdict:
        if self.menu == menus.LEASE and former is None:
            loose = self.loose.get(wanted.holds["mac-address"])
            if loose is not None:
                mac = {"mac-address": wanted.holds["mac-address"]}
                self.result.make_static.append(Change(self.menu, loose[".id"], claim.client_id, mac))
                self.result.later = True
                return Verdict("waiting", "no_lease")
            if "address" not in wanted.values:
                return Verdict("waiting", "no_lease")
        values = {name: value for name, value in wanted.values.items() if value and name != "disabled"}
        if self.menu in PROFILES:
            if wanted.password is None and not self._by_device(values):
                return Verdict("failed", "no_password")
            self.result.used_after[self.menu].add(values["profile"])
        if wanted.password is not None:
            values["password"] = wanted.password
        if former is not None and self.menu == menus.LEASE:
            kept = {name: former.get(name, "") for name in ("address", "address-lists") if former.get(name)}
            values = {**kept, **values}
        self.result.add.append(Change(self.menu, "", claim.client_id, {**values, "comment": wanted.comment}))
        return Verdict("done", held_profile=held)

    def _by_device(self, values: Mapping[str, str]) -> bool:
        """A hotspot's user that is a device's own address logs in without a password."""
        return self.menu == menus.HOTSPOT_USER and values["name"].upper() == values.get("mac-address", "-").upper()

    def _change(self, claim: Claim, wanted: Object, row: Row) -> None:
        differs = {
            name: value
            for name, value in wanted.values.items()
            if not same(name, row.get(name, ""), value) and not (name == "profile" and wanted.held)
        }
        if not wanted.values.get("remote-address") and not _ADDRESS.fullmatch(row.get("remote-address", "")):
            differs.pop("remote-address", None)  # the name of a pool is not a fixed address
        values = {name: value for name, value in differs.items() if value or name in _TEXTS}
        if _password_differs(wanted, row):
            values["password"] = wanted.password or ""
        if row.get("comment") != wanted.comment:
            values["comment"] = wanted.comment
        self.result.unset += [
            Change(self.menu, row[".id"], claim.client_id, {"value-name": name}, _ended(self.menu, row, [name]))
            for name in differs
            if name not in values
        ]
        if values:
            names = _ended(self.menu, row, values)
            self.result.change.append(Change(self.menu, row[".id"], claim.client_id, values, names))
        if "profile" in values:
            self.rewritten.add(row[".id"])
            self.result.used_after[self.menu].add(values["profile"])


def _ended(menu: str, row: Row, changed: Iterable[str]) -> tuple[str, ...]:
    """The user whose session must end for these changes to hold."""
    breaking = {"name", "profile", "remote-address"} if menu == menus.SECRET else {"name"}
    return (row["name"],) if menu in PROFILES and "name" in row and breaking & set(changed) else ()


def _password_differs(wanted: Object, row: Row) -> bool:
    """Whether the password is to be sent: where the router shows another one, or, where it shows none, where it has
    not been given this one yet."""
    if wanted.password is None:
        return False
    shown = row.get("password", "")
    if shown and shown.strip("*"):
        return shown != wanted.password
    return wanted.fresh


def _keys(menu: str, values: Mapping[str, str]) -> list[tuple[str, str]]:
    """What of an object nobody else in its menu may have. A queue that is switched off stands in nobody's way."""
    keys = [("name", values["name"])] if values.get("name") and menu != menus.LEASE else []
    if menu == menus.QUEUE and values.get("disabled") != "true":
        keys += [("target", canonical_address(part)) for part in values.get("target", "").split(",") if part]
    if menu == menus.LEASE:
        keys += [(name, values[name].upper()) for name in ("mac-address", "address") if values.get(name)]
    return keys


def menus_of(connection: str, kind: str) -> set[str]:
    """The menus in which a client may have something: that of its connection and that of what was last written."""
    return {MENU[one] for one in (connection, kind) if one}
