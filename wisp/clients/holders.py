"""Who has which address, network and user on which router, among the rows of a file and the clients beside it."""

import ipaddress
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from wisp.clients import networks
from wisp.clients.models import Client, ClientNetwork
from wisp.core.db import session

SOME = 5_000
Conflict = tuple[int, str, str, dict[str, Any]]
"""Line of the file, column, code of the reason, values of its sentence."""
_ALONE = {"address": Client.address, "address6": Client.address6, "username": Client.username}
"""What nobody else on the router may have (a user: nobody with the same kind of connection)."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A range of addresses and who has it: a line of the file, or the client of ``code``."""

    version: int
    first: int
    last: int
    text: str
    column: str
    line: int
    code: str = ""
    name: str = ""


class Holders:
    """What the rows of a file have; many rows, so only what is needed is kept."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, int, str], dict[str, int]] = defaultdict(dict)
        self._networks: dict[int, list[tuple[str, int]]] = defaultdict(list)

    def claim(
        self, line: int, router_id: int, connection: str, has: Mapping[str, str | None], further: Collection[str]
    ) -> list[tuple[str, int]]:
        """Note what a row has; what an earlier row has too, with that one's line."""
        twice = []
        for name, value in has.items():
            if value:
                kind = connection if name == "username" else ""
                other = self._lines[(name, router_id, kind)].setdefault(value, line)
                if other != line:
                    twice.append((name, other))
        if further:
            self._networks[router_id].extend((network, line) for network in further)
        return twice

    def conflicts(self, codes: Mapping[str, int]) -> Iterator[Conflict]:
        """What clients that are not in the file (``codes``) have already, and ranges that lie in one another."""
        for (name, router_id, kind), lines in self._lines.items():
            yield from self._taken(name, router_id, kind, lines, codes)
        for router_id in self._routers_with_ranges():
            yield from _overlaps([*self._ranges(router_id), *_others(router_id, codes)], codes)

    def _taken(
        self, name: str, router_id: int, kind: str, lines: Mapping[str, int], codes: Mapping[str, int]
    ) -> Iterator[Conflict]:
        column, values = _ALONE[name], list(lines)
        query = sa.select(Client.code, Client.name, column.label("value")).where(
            Client.router_id == router_id, Client.cancelled_at.is_(None), *([Client.connection == kind] if kind else [])
        )
        for start in range(0, len(values), SOME):
            for other in session().execute(query.where(column.in_(values[start : start + SOME]))):
                if other.code not in codes:
                    said = {"value": other.value, "code": other.code, "name": other.name}
                    yield lines[other.value], name, f"{name}_taken", said

    def _routers_with_ranges(self) -> list[int]:
        """The routers of the file on which one thing can lie in another."""
        touched = {router_id for _name, router_id, _kind in self._lines}
        further = sa.select(ClientNetwork.router_id).where(ClientNetwork.router_id.in_(touched)).distinct()
        found = {router_id for router_id in session().scalars(further) if router_id}
        found |= {router_id for name, router_id, _kind in self._lines if name == "address6"}
        return sorted(found | set(self._networks))

    def _ranges(self, router_id: int) -> Iterator[_Held]:
        for name in ("address", "address6"):
            for text, line in self._lines.get((name, router_id, ""), {}).items():
                yield _held(text, name, line)
        for text, line in self._networks.get(router_id, ()):
            yield _held(text, "networks", line)


def _others(router_id: int, codes: Mapping[str, int]) -> Iterator[_Held]:
    """What clients of the router have that are not in the file."""
    has = networks.everything().subquery()
    query = sa.select(Client.code, Client.name, has.c.value).join(Client, Client.id == has.c.client_id)
    for code, name, value in session().execute(query.where(has.c.router_id == router_id)):
        if code not in codes:
            yield _held(value, "", 0, code, name)


def _held(text: str, column: str, line: int, code: str = "", name: str = "") -> _Held:
    network = ipaddress.ip_network(text)
    first = int(network.network_address)
    return _Held(network.version, first, first + network.num_addresses - 1, text, column, line, code, name)


def _overlaps(held: Sequence[_Held], codes: Mapping[str, int]) -> Iterator[Conflict]:
    """Ranges of different clients that lie in one another; ranges of addresses never overlap but so."""
    around: list[_Held] = []
    for item in sorted(held, key=lambda item: (item.version, item.first, -item.last)):
        while around and (around[-1].version != item.version or around[-1].last < item.first):
            around.pop()
        for other in around:
            same = (other.line, other.code) == (item.line, item.code)
            told = (
                other.text == item.text
                and "networks" not in (other.column, item.column)
                and item.column
                and other.column
            )
            if not same and not told and (item.line or other.line):
                yield _conflict(item, other, codes)
                break
        around.append(item)


def _conflict(one: _Held, other: _Held, codes: Mapping[str, int]) -> Conflict:
    mine, theirs = (one, other) if one.line > other.line else (other, one)
    if not theirs.line:
        values = {"value": mine.text, "other": theirs.text, "code": theirs.code, "name": theirs.name}
        return mine.line, mine.column, "network_taken", values
    code = next(code for code, line in codes.items() if line == theirs.line)
    said = {"value": mine.text, "other": theirs.text, "code": code, "line": theirs.line}
    return mine.line, mine.column, "network_twice", said
