"""Entries that the router itself puts on address lists while something is alive: a session, a lease."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wisp.demo.routeros.router import Router

LISTS = "/ip/firewall/address-list"


class Held:
    """Dynamic entries by what holds them. An address that an entry holds already gets no second one."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._entries: dict[tuple[str, str], list[str]] = {}

    def put(self, menu: str, row_id: str, lists: Iterable[str], address: str) -> None:
        """These lists hold the address while that row is alive; empty names count nothing."""
        table = self._router.table(LISTS)
        for name in filter(None, lists):
            if any((row["list"], row["address"], row["disabled"]) == (name, address, "false")
                   for row in table.rows.values()):  # fmt: skip
                continue
            values = {"list": name, "address": address, "dynamic": "true", "creation-time": self._router.now()}
            self._entries.setdefault((menu, row_id), []).append(table.add(values, loading=True))

    def drop(self, menu: str, row_id: str) -> None:
        """What that row held is gone."""
        table = self._router.table(LISTS)
        for entry in self._entries.pop((menu, row_id), []):
            if entry in table.rows:
                table.remove(entry, forced=True)

    def forget(self) -> None:
        """The entries went with a reboot."""
        self._entries.clear()
