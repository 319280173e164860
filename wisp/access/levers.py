"""By what a client is cut or shown a notice where an entry on a list would not follow it. Pure: rows in, rows out.

A lever is a property of a row that is the client's own on the router: the profile or the switch of its PPPoE secret,
the switch of its hotspot user, the lists of its DHCP lease. What it was before is remembered, to be put back. The rows
hold the router's own bytes; names of ours are compared with what the bytes say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from wisp.access.domain import Lists, is_ipv4
from wisp.gateway import Row, bytes_of, menus, text_of

MARK = "wisp:profile"
"""Comment of the profiles that are ours."""
DISABLED = "disabled"
_COPIED = (
    "local-address", "remote-address", "rate-limit", "only-one", "change-tcp-mss", "dns-server", "wins-server",
    "parent-queue", "queue-type", "insert-queue-before", "session-timeout", "idle-timeout", "incoming-filter",
    "outgoing-filter", "interface-list", "on-up", "on-down",
)  # fmt: skip
_COPIED_FAMILIES = ("use-", "bridge", "remote-ipv6-", "local-ipv6-", "dhcpv6-")


class Lever(NamedTuple):
    """By what a client's state stands on its router.

    ``kind``: ``profile``, ``disable``, ``hotspot``, ``lease``; empty: by entries alone. ``name``: the user, or the MAC
    address. ``before``, what is to be put back: the profile; ``disabled`` where somebody else had switched the user
    off (of users that several hotspot servers have, ``disabled:`` and those servers); the lists of the lease that bear
    our names and are not ours.
    """

    kind: str = ""
    name: str = ""
    before: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """Where it stands, whatever was there before."""
        return self.kind, self.name


@dataclass
class Facts:
    """What was read beside the lists, by the name that people read: PPP secrets, profiles (None: not read) and
    sessions, hotspot users and their sessions, leases by MAC address. ``unread``: menus that the router did not let us
    read, with its words; their rows are not known."""

    secrets: dict[str, Row] = field(default_factory=dict)
    profiles: dict[str, Row] | None = None
    sessions: dict[str, str] = field(default_factory=dict)
    users: dict[str, list[Row]] = field(default_factory=dict)
    logged_in: dict[str, list[str]] = field(default_factory=dict)
    leases: dict[str, list[Row]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    def rows(self, kind: str, name: str) -> list[Row]:
        """The rows that a lever of this kind and name moves."""
        if kind in ("profile", "disable"):
            return [self.secrets[name]] if name in self.secrets else []
        return (self.users if kind == "hotspot" else self.leases).get(name, [])


MENU = {"profile": menus.SECRET, "disable": menus.SECRET, "hotspot": menus.HOTSPOT_USER, "lease": menus.LEASE}


class Choice(NamedTuple):
    """By what a client's wanted state is to stand. ``listed``: by an entry at ``address`` (None: not known);
    ``from_session``: that address was given to a session. ``problem``: it can't be (``no_user``, ``no_lease``);
    ``no_session`` waits."""

    listed: bool = False
    address: str | None = None
    from_session: bool = False
    kind: str = ""
    name: str = ""
    problem: str = ""


def choose(connection: str, wanted: str, address: str | None, name: str, facts: Facts, mode: str) -> Choice:
    """By what a client who is wanted ``cut`` or on ``notice`` is to be so. ``address``: its fixed one. ``name``: its
    user, for DHCP its MAC address. ``mode``: Router.pppoe_cut."""
    if connection == "pppoe" and name and address is None:
        return _pppoe(wanted, name, facts, mode)
    if connection == "hotspot" and name:
        return _hotspot(wanted, address, name, facts)
    if connection == "dhcp":
        if any(_moves_lists(row) for row in facts.leases.get(name, ())):
            return Choice(kind="lease", name=name)
        return Choice(True, address) if address else Choice(problem="no_lease")
    return Choice(True, address)


def _pppoe(wanted: str, name: str, facts: Facts, mode: str) -> Choice:
    secret, given = facts.secrets.get(name), facts.sessions.get(name)
    if secret is None:  # the users are kept elsewhere (RADIUS)
        return Choice(True, given, from_session=given is not None)
    if is_ipv4(secret.get("remote-address", "")):
        return Choice(True, secret["remote-address"])
    if mode == "profile":
        return Choice(kind="profile", name=name)
    if wanted == "cut":
        return Choice(kind="disable", name=name)
    return Choice(True, given, from_session=True) if given else Choice(problem="no_session")


def _hotspot(wanted: str, address: str | None, name: str, facts: Facts) -> Choice:
    if wanted == "cut":
        if facts.users.get(name):
            return Choice(address is not None, address, kind="hotspot", name=name)
        return Choice(True, address) if address else Choice(problem="no_user")
    if address is None and facts.logged_in.get(name):
        return Choice(True, facts.logged_in[name][0], from_session=True)
    return Choice(True, address) if address else Choice(problem="no_session")


def _moves_lists(lease: Row) -> bool:
    """Only an enabled lease puts its address on lists."""
    return not _yes(lease, "disabled")


def base_of(profile: str, lists: Lists) -> tuple[str, str] | None:
    """The list and the profile below, of the name of a profile that is a copy of ours; None where it is none."""
    fitting = [name for name in lists.names if profile.startswith(f"{name}:") and len(profile) > len(name) + 1]
    if not fitting:
        return None
    name = max(fitting, key=len)
    return name, profile[len(name) + 1 :]


def copy_of(base: Row, list_name: str) -> Row:
    """The properties of our copy of a profile: what decides the session, our list, our mark."""
    kept = {name: value for name, value in base.items() if name in _COPIED or name.startswith(_COPIED_FAMILIES)}
    return {
        "name": f"{bytes_of(list_name)}:{base['name']}",
        **kept,
        "address-list": bytes_of(list_name),
        "comment": MARK,
    }


def repairs(present: Row, wanted: Row) -> Row:
    """What must be set so that our copy is one again; empty where nothing differs."""
    names = {*wanted, *(n for n in present if n in _COPIED or n.startswith(_COPIED_FAMILIES))}
    return {name: wanted.get(name, "") for name in sorted(names) if present.get(name, "") != wanted.get(name, "")}


def _yes(row: Mapping[str, str], name: str) -> bool:
    return row.get(name, "") in ("true", "yes")


class Problem(Exception):
    """A lever that cannot be moved; ``detail`` as in domain.Outcome."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Desk:
    """The rows as they should become. Levers are put back and moved here; what then differs is what is sent.

    ``copies``: our profiles that must be there, by name.
    """

    def __init__(self, facts: Facts, lists: Lists) -> None:
        self.facts = facts
        self.lists = lists
        self.copies: dict[str, Row] = {}
        self._rows: dict[tuple[str, str], Row] = {}

    def row(self, kind: str, row: Row) -> Row:
        """The row as it should become."""
        return self._rows.setdefault((MENU[kind], row[".id"]), dict(row))

    def rows(self, kind: str, name: str) -> list[Row]:
        """The same for all rows of a lever."""
        return [self.row(kind, row) for row in self.facts.rows(kind, name)]

    def changed(self, kind: str, name: str) -> list[tuple[Row, Row]]:
        """Rows of a lever that are to change: the row as read, and what is to be set in it."""
        found = []
        for read in self.facts.rows(kind, name):
            new = self.row(kind, read)
            values = {key: value for key, value in new.items() if read.get(key, "") != value}
            if values:
                found.append((read, values))
        return found

    # Putting back ------------------------------------------------------------------------------------

    def put_back(self, lever: Lever) -> None:
        """Undo a lever, where it still stands. Raises Problem, also where the rows are not known."""
        unread = self.facts.unread.get(MENU[lever.kind])
        if unread is not None:
            raise Problem(f"router: {unread}")
        rows = self.rows(lever.kind, lever.name)
        if lever.kind == "profile":
            for row in rows:
                self._old_profile(row, lever)
        elif lever.kind == "lease":
            theirs = _split(lever.before)
            for row in rows:
                self._lists_without(row, [name for name in self.lists.names if name not in theirs])
        else:
            for row in rows:
                if _yes(row, "disabled") and not _was_off(lever.before, row):
                    row["disabled"] = "false"

    def _old_profile(self, row: Row, lever: Lever) -> None:
        found = base_of(text_of(row.get("profile", "")), self.lists)
        if found is None:  # somebody has given it another one since
            return
        before = lever.before or found[1]
        base = (self.facts.profiles or {}).get(before)
        if base is None:
            raise self._no_profile(before)
        row["profile"] = base["name"]

    def _no_profile(self, name: str) -> Problem:
        unread = self.facts.unread.get(menus.PROFILE)
        return Problem(f"no_profile: {name}" if unread is None else f"router: {unread}")

    @staticmethod
    def _lists_without(row: Row, names: Iterable[str]) -> None:
        gone = set(map(bytes_of, names))
        present = row.get("address-lists", "").split(",")
        if gone & set(present):
            row["address-lists"] = ",".join(name for name in present if name not in gone)

    # Moving ------------------------------------------------------------------------------------------

    def move(self, kind: str, name: str, recorded: Lever, list_name: str) -> Lever:
        """Let a lever hold the client on that list; the lever as it is to be remembered. ``recorded``: as it is
        remembered by now. Raises Problem."""
        before = recorded.before if recorded.kind == kind else None
        if kind == "profile":
            return Lever(kind, name, self._our_profile(name, before, list_name))
        if kind == "lease":
            return Lever(kind, name, self._our_list(name, before, list_name))
        off = []
        for row in self.rows(kind, name):
            if _yes(row, "disabled") and (before is None or _was_off(before, row)):
                off.append(text_of(row.get("server", "")))
            row["disabled"] = "true"
        if not off:
            return Lever(kind, name)
        everywhere = len(off) == len(self.facts.rows(kind, name))
        return Lever(kind, name, DISABLED if everywhere else f"{DISABLED}:{','.join(off)}")

    def _our_profile(self, name: str, before: str | None, list_name: str) -> str:
        (row,) = self.rows("profile", name)
        present = text_of(row.get("profile", ""))
        found = base_of(present, self.lists)
        base = (before or found[1]) if found else present
        profiles = self.facts.profiles or {}
        ours = f"{list_name}:{base}"
        if base in profiles:
            self._want_copy(ours, copy_of(profiles[base], list_name))
        elif ours not in profiles:
            raise self._no_profile(base)
        row["profile"] = self.copies[ours]["name"] if ours in self.copies else profiles[ours]["name"]
        return base

    def _want_copy(self, name: str, wanted: Row) -> None:
        present = (self.facts.profiles or {}).get(name)
        if present is None or present.get("comment") == MARK:
            self.copies[name] = wanted
        elif present.get("address-list") != wanted["address-list"]:
            raise Problem(f"profile_taken: {name}")  # somebody else's, and it does something else

    def _our_list(self, mac: str, before: str | None, list_name: str) -> str:
        theirs: list[str] = []
        for row in self.rows("lease", mac):
            if not _moves_lists(row):
                continue
            present = [text_of(name) for name in row.get("address-lists", "").split(",") if name]
            named = [name for name in present if name in self.lists.names]
            theirs += [name for name in named if before is None or name in _split(before)]
            self._lists_without(row, [name for name in self.lists.names if name != list_name and name not in theirs])
            if list_name not in present:
                standing = row.get("address-lists", "")
                row["address-lists"] = f"{standing},{bytes_of(list_name)}" if standing else bytes_of(list_name)
        return ",".join(dict.fromkeys(theirs))


def holding(kind: str, rows: Sequence[Row], recorded: Lever, lists: Lists) -> str:
    """The list on which a lever of ours holds the client, as the rows were read; empty: on none. ``disable`` and
    ``hotspot`` hold it on the list of the suspended."""
    for row in rows:
        if kind == "profile":
            found = base_of(text_of(row.get("profile", "")), lists)
            if found is not None:
                return found[0]
        elif kind == "lease":
            theirs = _split(recorded.before) if recorded.kind == kind else []
            for name in map(text_of, row.get("address-lists", "").split(",")):
                if name in lists.names and recorded.kind == kind and name not in theirs:
                    return name
        elif _yes(row, "disabled") and recorded.kind == kind:
            return lists.cut
    return ""


def still_theirs(lever: Lever, rows: Sequence[Row], lists: Lists) -> str:
    """A list with one of our names that somebody else has put a lease on, and that holds the client; else empty."""
    present = {text_of(name) for row in rows for name in row.get("address-lists", "").split(",")}
    return next((name for name in (lists.cut, lists.notice) if name in present and name in _split(lever.before)), "")


def _was_off(before: str, row: Row) -> bool:
    if before == DISABLED:
        return True
    head, _colon, servers = before.partition(":")
    return head == DISABLED and text_of(row.get("server", "")) in servers.split(",")


def _split(names: str) -> list[str]:
    return [name for name in names.split(",") if name]
