"""What the gateway reads and writes, as plain values. Texts are the router's own strings, never cast."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from wisp.gateway.errors import ErrorCode

Row = dict[str, str]
"""One row as the router printed it. A property without a value is absent."""


class AsIs(str):
    """A word in the router's own bytes, one character (latin-1) each: sent as it is, not as UTF-8."""

    __slots__ = ()


@dataclass(frozen=True)
class Command:
    """One command: the full path with its verb (`/ip/firewall/address-list/add`) and its attributes.

    ``raw``: its texts are bytes as `Connection.read` gives them, so that a copy is one byte for byte.
    """

    path: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    queries: tuple[str, ...] = ()
    raw: bool = False

    def words(self) -> tuple[str, ...]:
        """The words of its sentence."""
        words = (self.path, *(f"={name}={value}" for name, value in self.attributes.items()), *self.queries)
        return tuple(map(AsIs, words)) if self.raw else words


class Status(StrEnum):
    """How one command ended."""

    ok = "ok"
    exists = "exists"
    """Not added: an equal one is there already."""
    gone = "gone"
    """Not changed or removed: there is no such row."""
    failed = "failed"
    """Refused, for the reason in `text`."""
    unknown = "unknown"
    """No answer came. It may have been done or not: read the table again."""


class Outcome(NamedTuple):
    """How one command ended: `ret` is what the router returned (the id of an add), `text` its error."""

    status: Status
    ret: str = ""
    text: str = ""
    code: ErrorCode | None = None


_EXISTS = (
    "failure: already have ",
    "failure: secret with the same name already exists",
    "failure: user with the same name already ex",  # version 6 spells the last word otherwise
)
_GONE = "no such item"  # version 6 and session tables put " (4)" behind it


def status_of_trap(text: str) -> Status:
    """What an error means for the one command. Decided by the beginning of its text; categories are mostly absent."""
    if text.startswith(_EXISTS):
        return Status.exists
    return Status.gone if text.startswith(_GONE) else Status.failed


@dataclass(frozen=True)
class Resource:
    """/system/resource. `version` as printed, such as `7.20.6 (stable)`; `cpu_load` in per cent."""

    version: str
    board: str
    uptime: str
    cpu_load: int | None

    @property
    def release(self) -> tuple[int, ...]:
        """The version's leading numbers, for comparing: (7, 20, 6). Empty where there are none."""
        found = re.match(r"\d+(\.\d+)*", self.version)
        return tuple(int(part) for part in found[0].split(".")) if found else ()


class NewEntry(NamedTuple):
    """An entry to put on an address list."""

    list: str
    address: str
    comment: str = ""


class Entry(NamedTuple):
    """An entry read from an address list. `dynamic` ones belong to the router and are never written to."""

    id: str
    list: str
    address: str
    comment: str
    disabled: bool
    dynamic: bool


class ActivePpp(NamedTuple):
    """A running PPP session."""

    id: str
    name: str
    address: str


@dataclass(frozen=True)
class PppSecret:
    """A PPP user. `remote_address` is a fixed address, a pool's name, or empty."""

    id: str
    name: str
    profile: str
    remote_address: str
    comment: str
    disabled: bool


@dataclass(frozen=True)
class SimpleQueue:
    """A simple queue; `max_limit` as printed: upload/download of the target in bit/s."""

    id: str
    name: str
    target: str
    max_limit: str
    comment: str
    disabled: bool
    dynamic: bool


def canonical_address(address: str) -> str:
    """The same text for the same host, however it is written: `/32` and `/128` left out, IPv6 shortened.

    Prefixes lose their host bits. What is no address (a range, a name) stays as it is.
    """
    try:
        network = ipaddress.ip_network(address.strip(), strict=False)
    except ValueError:
        return address
    alone = network.prefixlen == network.max_prefixlen
    return str(network.network_address if alone else network)


def flag(row: Mapping[str, str], name: str) -> bool:
    """A yes-or-no property; absent is no."""
    return row.get(name, "") in ("true", "yes")


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def moment(date: str, time: str, offset: str) -> datetime | None:
    """A router's date (`2024-02-05`, before 7.10 `feb/05/2024`), time and offset (`+02:00`) as one moment; None where
    they are something else. No offset is UTC."""
    old = re.fullmatch(r"([a-z]{3})/(\d\d)/(\d{4})", date)
    if old and old[1] in _MONTHS:
        date = f"{old[3]}-{_MONTHS.index(old[1]) + 1:02}-{old[2]}"
    try:
        return datetime.fromisoformat(f"{date}T{time}{offset or '+00:00'}")
    except ValueError:
        return None
