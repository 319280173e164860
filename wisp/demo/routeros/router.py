"""A simulated router: its tables, its users, its version, and the answer to each command."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from threading import RLock
from time import monotonic, time

from wisp.demo.routeros import commands, hotspot
from wisp.demo.routeros.dhcp import LEASE, hold_all
from wisp.demo.routeros.faults import Counters, Faults, Switches
from wisp.demo.routeros.held import Held
from wisp.demo.routeros.menus import MENUS
from wisp.demo.routeros.ppp import Dialer
from wisp.demo.routeros.reply import Request, Result
from wisp.demo.routeros.spec import Menu, Row, Trap
from wisp.demo.routeros.table import Table
from wisp.demo.routeros.values import printed_time

Value = str | bytes
CLOCK = "/system/clock"


class Router:
    """The state of a simulated router. Every public method may be called from any thread.

    `version` as the router prints it decides the log-in, the dates, `!empty` and the texts of errors.
    `users` maps names to passwords. `dial_in` are the seconds after which a PPP client whose session was
    removed comes back (None: never). With `atomic_batches` a comma list of ids with a missing one changes
    nothing; otherwise the rows before it are changed, as nobody has documented either. Without `ipv6` it has none
    of those menus, like version 6 without the package. `out_of_reach` are addresses that answer no ping.
    """

    def __init__(
        self,
        *,
        name: str = "MikroTik",
        version: str = "7.20.6 (stable)",
        users: Mapping[str, str] | None = None,
        dial_in: float | None = None,
        atomic_batches: bool = False,
        empty_all: bool = False,
        ipv6: bool = True,
    ) -> None:
        self.lock = RLock()
        self.version = version
        self.users = dict(users if users is not None else {"wisp": "secret"})
        self.atomic_batches = atomic_batches
        self.empty_all = empty_all
        self.interfaces = {"all", "bridge", *(f"ether{number}" for number in range(1, 6)), "wlan1"}
        self.switches = Switches()
        self.faults = Faults()
        self.counters = Counters()
        self.booted = monotonic()
        self.out_of_reach: set[str] = set()
        self.held = Held(self)
        self.dialer = Dialer(self, dial_in)
        menus = [menu for menu in MENUS if ipv6 or not menu.path.startswith("/ipv6/")]
        self._tables = {menu.path: Table(menu, self) for menu in menus}
        self._folders = {path[:at] for path in self._tables for at in range(1, len(path)) if path[at] == "/"}
        for menu in menus:
            for row in menu.initial:
                self._tables[menu.path].add(dict(row), loading=True)
        self.table("/system/identity").set("*0", {"name": name}, loading=True)
        self.table("/system/resource").set("*0", {"version": version}, loading=True)
        for user in self.users:
            self.table("/user").add({"name": _raw(user), "group": "full"}, loading=True)

    # For tests, the demo and the control port

    def snapshot(self, menu: str) -> list[Row]:
        """The rows of a menu as they are now, with `.id`, texts decoded (UTF-8, else cp1252)."""
        with self.lock:
            self.advance()
            table = self.table(menu)
            return [{name: _readable(value) for name, value in table.view(row_id).items()} for row_id in table.rows]

    def tally(self, menu: str) -> dict[str, int]:
        """How many rows a menu has, how many of them are switched off, and how many the router made itself."""
        with self.lock:
            self.advance()
            rows = self.table(menu).rows.values()
            found = {name: sum(row.get(name) == "true" for row in rows) for name in ("disabled", "dynamic")}
            return {"rows": len(rows), **found}

    def load(self, menu: str, rows: Iterable[Mapping[str, Value]]) -> list[str]:
        """Put rows into a menu as if they had always been there; their ids. Bytes stay as they are.

        What only the router writes (`dynamic`, an active session) may be given too. A menu with a single
        row takes the values into it.
        """
        with self.lock:
            table = self.table(menu)
            ids = []
            for row in rows:
                values = {name: _raw(value) for name, value in row.items()}
                if table.menu.single:
                    table.set("*0", values, loading=True)
                    ids.append("*0")
                else:
                    ids.append(table.add(values, loading=True))
            return ids

    def clear(self, menu: str) -> None:
        """Empty a menu, without consequences elsewhere."""
        with self.lock:
            self.table(menu).clear()

    def dial_all(self) -> None:
        """Every enabled PPP secret that has no session gets one now."""
        with self.lock:
            self.dialer.dial_all()

    def hotspot_login(self, name: str, address: str, mac: str) -> bool:
        """A device logs in to the hotspot; whether it was let in."""
        with self.lock:
            return hotspot.log_in(self, name, address, mac)

    def lose_power(self) -> None:
        """What a reboot does to the state: timed and dynamic rows and sessions are gone, the clock of uptime starts.
        Leases and cookies are on the disk: they stay, and bound leases hold their lists again."""
        with self.lock:
            for path in ("/ppp/active", "/ip/hotspot/active", "/ip/firewall/connection", "/ipv6/firewall/connection"):
                if path in self._tables:
                    self.table(path).clear()
            self.held.forget()
            for path, table in self._tables.items():
                if path == LEASE:
                    continue
                for row_id in [row_id for row_id, row in table.rows.items() if row.get("dynamic") == "true"]:
                    table.remove(row_id, forced=True)
            hold_all(self)
            self.dialer.forget()
            self.booted = monotonic()
            if self.dialer.delay is not None:
                self.dialer.expect_all()

    # For the menus and the sessions of the API

    @property
    def release(self) -> tuple[int, ...]:
        """The version's numbers, for comparing."""
        return _release_of(self.version)

    def table(self, path: str) -> Table:
        """The table of a menu. KeyError where there is none."""
        return self._tables[path]

    def not_found(self, menu: Menu) -> str:
        """`no such item`, in the words of this version and menu."""
        return "no such item (4)" if self.release < (7,) else menu.not_found

    def now(self) -> str:
        """Date and time as this version prints them."""
        return " ".join(self._date_and_time())

    def _date_and_time(self) -> tuple[str, str]:
        """By the router's own clock and offset."""
        offset = self.table(CLOCK).rows["*0"]["gmt-offset"]
        return _printed_clock(int(time() + self.switches.clock_ahead), offset, self.release >= (7, 10))

    def advance(self) -> None:
        """Let time pass: rows run out, clients dial in, uptime grows. The caller holds the lock."""
        for table in self._tables.values():
            if table.expires:
                table.run_out()
        self.dialer.advance()
        self.table("/system/resource").rows["*0"]["uptime"] = printed_time(int(monotonic() - self.booted))
        today, now = self._date_and_time()
        self.table(CLOCK).rows["*0"] |= {"date": today, "time": now}

    def let_pass(self) -> None:
        """Let time pass, before commands that have come together are answered."""
        with self.lock:
            self.advance()

    def execute(self, request: Request, *, together: bool = False) -> Result:
        """The answer to a command of a logged-in user. ``together``: it has come with others, for which ``let_pass``
        was called; else time passes before it."""
        with self.lock:
            if not together:
                self.advance()
            try:
                return self._execute(request)
            except Trap as trap:
                return Result(traps=[trap])

    def _execute(self, request: Request) -> Result:
        if request.path == "/ping":
            return self._ping(request)
        path, _, verb = request.path.rpartition("/")
        table = self._tables.get(path)
        if table is None:
            return self._no_such_menu(path)
        return commands.execute(self, table, verb, request)

    def _ping(self, request: Request) -> Result:
        """One row for each packet, with the counts so far."""
        address, count = request.attributes.get("address", ""), int(request.attributes.get("count", "1"))
        lost = address in self.out_of_reach
        answer = {"status": "timeout"} if lost else {"size": "56", "ttl": "64", "time": "1ms"}
        rows = [
            {"seq": str(n), "host": address, **answer, "sent": str(n + 1), "received": "0" if lost else str(n + 1)}
            for n in range(min(count, 100))
        ]
        return Result(rows=rows)

    def _no_such_menu(self, path: str) -> Result:
        if path in self._folders:
            return Result(traps=[Trap("no such command")])
        if self.release < (7,):
            return Result(traps=[Trap("no such command prefix")])
        known = ""
        name = path
        for part in path.strip("/").split("/"):
            name = part
            known += f"/{part}"
            if known not in self._folders and known not in self._tables:
                break
        missing = Trap(f"no such command or directory ({name})", category=0)
        return Result(traps=[missing, Trap("no such command prefix")])


@lru_cache(maxsize=64)
def _release_of(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else (7,)


@lru_cache(maxsize=64)
def _printed_clock(seconds: int, offset: str, iso: bool) -> tuple[str, str]:
    """Date and time of a moment (seconds since 1970) at an offset from UTC."""
    hours, minutes = offset.lstrip("+-").split(":")
    ahead = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if offset.startswith("-") else 1)
    now = datetime.fromtimestamp(seconds, UTC) + ahead
    return now.strftime("%Y-%m-%d" if iso else "%b/%d/%Y").lower(), now.strftime("%H:%M:%S")


def _raw(value: Value) -> str:
    return (value if isinstance(value, bytes) else value.encode()).decode("latin-1")


def _readable(value: str) -> str:
    raw = value.encode("latin-1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")
