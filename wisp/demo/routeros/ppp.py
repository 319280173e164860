"""PPP clients that dial in: a session for an enabled secret, and what goes with it."""

from __future__ import annotations

import ipaddress
from time import monotonic
from typing import TYPE_CHECKING

from wisp.demo.routeros.dhcp import POOL, addresses_of
from wisp.demo.routeros.spec import Row

if TYPE_CHECKING:
    from wisp.demo.routeros.router import Router
    from wisp.demo.routeros.table import Table

_FIRST_OF_POOL = ipaddress.IPv4Address("100.64.0.2")


class Dialer:
    """Starts PPP sessions. All methods run under the router's lock."""

    def __init__(self, router: Router, delay: float | None) -> None:
        self.delay = delay
        self._router = router
        self._expected: dict[str, float] = {}
        self._given = 0

    def expect(self, name: str) -> None:
        """This client dials in after the delay, if its secret lets it."""
        if self.delay is not None:
            self._expected.setdefault(name, monotonic() + self.delay)

    def expect_all(self) -> None:
        """All clients dial in after the delay, as after a reboot."""
        for row in self._router.table("/ppp/secret").rows.values():
            self.expect(row["name"])

    def forget(self) -> None:
        """Nobody is dialling."""
        self._expected.clear()

    def advance(self) -> None:
        """Start the sessions that are due."""
        if self._expected:
            now = monotonic()
            due = {name for name, at in self._expected.items() if at <= now}
            for name in due:
                del self._expected[name]
            if due:
                self._start(due)

    def dial_all(self) -> None:
        """Start a session for each enabled secret that has none."""
        self._start({row["name"] for row in self._router.table("/ppp/secret").rows.values()})

    def _start(self, names: set[str]) -> None:
        missing = names - {row["name"] for row in self._router.table("/ppp/active").rows.values()}
        for secret in list(self._router.table("/ppp/secret").rows.values()):
            if secret["name"] in missing and secret["disabled"] == "false":
                self._session(secret)

    def _session(self, secret: Row) -> None:
        router = self._router
        profile = next(
            (row for row in router.table("/ppp/profile").rows.values() if row["name"] == secret["profile"]), {}
        )
        address = secret.get("remote-address") or profile.get("remote-address", "")
        if not address[:1].isdigit():
            address = self._from_pool(address)
        session = router.table("/ppp/active")
        row_id = session.add(
            {
                "name": secret["name"],
                "service": "pppoe",
                "caller-id": secret.get("caller-id") or "02:00:00:00:00:01",
                "address": address,
                "uptime": "0s",
                "encoding": "",
                "limit-bytes-in": "0",
                "limit-bytes-out": "0",
                "radius": "false",
            },
            loading=True,
        )
        session.rows[row_id]["session-id"] = f"0x8{int(row_id[1:], 16):07x}"
        router.held.put("/ppp/active", row_id, [profile.get("address-list", "")], address)

    def _from_pool(self, name: str) -> str:
        """The next address of that pool, one that no session has; without such a pool of one that nobody wrote."""
        self._given += 1
        pool = next((row for row in self._router.table(POOL).rows.values() if row["name"] == name), None)
        if pool is None:
            return str(_FIRST_OF_POOL + self._given - 1)
        addresses = list(addresses_of(pool))
        taken = {row["address"] for row in self._router.table("/ppp/active").rows.values()}
        turned = addresses[(self._given - 1) % len(addresses) :] + addresses[: (self._given - 1) % len(addresses)]
        return next((address for address in turned if address not in taken), addresses[0])


def session_removed(router: Router, table: Table, row_id: str, row: Row) -> None:
    """A session has ended: what the profile put on lists goes, and the client will try again."""
    router.held.drop("/ppp/active", row_id)
    router.dialer.expect(row["name"])
