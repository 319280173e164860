"""Talking to a router about what stands there: reading the menus, and taking off entries that a person named.

Network only: knows no tables of ours, opens no transaction. Nothing but those entries is ever changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from wisp.access.importing.domain import Row, Tables, address, is_ours, prefix6
from wisp.gateway import Connection, ErrorCode, GatewayError, Status, Target, connect, menus

DEADLINE = 90.0
"""Seconds that reading one router may take in all."""
TRIES = 3
"""How often a removal connects at most."""
_SECRET = (
    "name", "password", "service", "caller-id", "profile", "remote-address", "remote-ipv6-prefix", "comment",
    "disabled", "routes", "ipv6-routes",
)  # fmt: skip
_PROFILE = ("name", "rate-limit", "address-list")
_QUEUE = ("name", "target", "max-limit", "comment", "disabled", "dynamic")
_LEASE = (
    "address", "mac-address", "host-name", "rate-limit", "address-lists", "comment", "disabled", "dynamic",
)  # fmt: skip
_USER = ("name", "password", "address", "mac-address", "profile", "comment", "disabled", "dynamic")
_ENTRY = (".id", "list", "address", "comment", "disabled", "dynamic")


def read(target: Target) -> Tables:
    """Everything that may tell of a client, in one session. A menu that the router does not have is empty; one that it
    does not let us read is an error. Raises GatewayError."""
    with connect(target, deadline=DEADLINE) as connection:
        return Tables(
            secrets=_rows(connection, menus.SECRET, _SECRET),
            profiles=_rows(connection, menus.PROFILE, _PROFILE),
            sessions=_rows(connection, menus.PPP_ACTIVE, ("name", "address")),
            queues=_rows(connection, menus.QUEUE, _QUEUE),
            leases=_rows(connection, menus.LEASE, _LEASE),
            users=_rows(connection, menus.HOTSPOT_USER, _USER),
            user_profiles=_rows(connection, menus.HOTSPOT_PROFILE, _PROFILE),
            lists=_rows(connection, menus.LISTS, _ENTRY),
            lists6=_rows(connection, menus.LISTS6, _ENTRY),
        )


def _rows(connection: Connection, menu: str, properties: Sequence[str]) -> Sequence[Row]:
    try:
        return connection.print(menu, properties)
    except GatewayError as error:
        if error.code is ErrorCode.trap and error.detail.startswith("no such command"):
            return ()
        raise


@dataclass(frozen=True)
class Removal:
    """An entry that a person wants off a list, as it was read; ``number`` is the caller's."""

    number: int
    list: str
    address: str
    ipv6: bool
    comment: str


@dataclass(frozen=True)
class Removed:
    """How it ended: ``removed``, ``gone``, ``changed`` (another one by now) or ``waiting`` (refused: ``detail``)."""

    number: int
    state: str
    detail: str = ""


def remove(target: Target, removals: Sequence[Removal]) -> list[Removed]:
    """Take these entries off, if they still are what was read; how it ended for each that is known.

    Where the connection breaks after a command went out nobody knows what became of it: look again, and what is gone
    then was our work. Raises GatewayError where nothing is known.
    """
    done: dict[int, Removed] = {}
    sent: set[int] = set()
    for attempt in range(1, TRIES + 1):
        try:
            with connect(target, deadline=DEADLINE) as connection:
                for ipv6, menu in ((False, menus.LISTS), (True, menus.LISTS6)):
                    mine = [one for one in removals if one.ipv6 == ipv6 and one.number not in done]
                    if mine:
                        done |= {one.number: one for one in _remove(connection, menu, mine, sent)}
            break
        except GatewayError:
            if attempt == TRIES or not sent:
                if done:
                    break
                raise
    return list(done.values())


def _remove(connection: Connection, menu: str, removals: Sequence[Removal], sent: set[int]) -> list[Removed]:
    there: dict[tuple[str, str], list[Row]] = {}
    for row in _rows(connection, menu, _ENTRY):
        if row.get("dynamic") != "true" and not is_ours(row):
            there.setdefault((row.get("list", ""), _canonical(row.get("address", ""))), []).append(row)
    done: list[Removed] = []
    found: list[tuple[Removal, str]] = []
    for removal in removals:
        rows = there.get((removal.list, _canonical(removal.address)), [])
        same = next((row for row in rows if row.get("comment", "") == removal.comment), None)
        if same is not None:
            found.append((removal, same[".id"]))
        elif rows:
            done.append(Removed(removal.number, "changed"))
        else:
            done.append(Removed(removal.number, "removed" if removal.number in sent else "gone"))
    sent |= {removal.number for removal, _item in found}
    outcomes = connection.remove(menu, [item for _removal, item in found])
    if connection.error is not None:
        raise connection.error
    for (removal, _item), outcome in zip(found, outcomes, strict=True):
        if outcome.status in (Status.ok, Status.gone):
            done.append(Removed(removal.number, "removed" if outcome.status is Status.ok else "gone"))
        else:
            done.append(Removed(removal.number, "waiting", outcome.text))
    return done


def _canonical(text: str) -> str:
    return address(text) or prefix6(text) or text
