"""Ending what a client has open, so that a cut holds at once and a lifted one ends: sessions, cookies, connections."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from wisp.access.facts import is_absent, refusal
from wisp.gateway import Connection, ErrorCode, GatewayError, Status, menus


@dataclass
class Ended:
    """What came of it: why sessions could not be ended, by user; the addresses that those of each user had."""

    refused: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, list[str]] = field(default_factory=dict)


def ppp(connection: Connection, names: Collection[str]) -> Ended:
    """End the PPP sessions of these users. Raises GatewayError where the connection breaks."""
    return _end(connection, menus.PPP_ACTIVE, "name", names, "address")


def hotspot(connection: Connection, names: Collection[str]) -> Ended:
    """Log these hotspot users out: first the cookies, which would log a device straight back in."""
    forgotten = _end(connection, menus.HOTSPOT_COOKIE, "user", names)
    ended = _end(connection, menus.HOTSPOT_ACTIVE, "user", names, "address")
    ended.refused |= forgotten.refused
    return ended


def _end(connection: Connection, menu: str, key: str, names: Collection[str], *more: str) -> Ended:
    ended = Ended()
    if not names:
        return ended
    try:
        rows = connection.print(menu, [".id", key, *more])
    except GatewayError as error:
        if not is_absent(error):
            ended.refused = dict.fromkeys(names, refusal(error))
        return ended
    live = [row for row in rows if row.get(key) in names]
    answers = connection.remove(menu, [row[".id"] for row in live])
    if connection.error is not None:
        raise connection.error
    for row, answer in zip(live, answers, strict=True):
        if row.get("address"):
            ended.addresses.setdefault(row[key], []).append(row["address"])
        if answer.status is Status.failed:
            ended.refused[row[key]] = answer.text
    return ended


def connections(connection: Connection, addresses: Iterable[str]) -> str:
    """Remove the tracked connections that come from these addresses and prefixes of either family; what went wrong.

    Missing menus or permission are nothing that went wrong, and rows that are gone by themselves are removed.
    """
    wanted = set(addresses)
    for menu, ipv6 in ((menus.CONNECTIONS, False), (menus.CONNECTIONS6, True)):
        ours = {address for address in wanted if (":" in address) is ipv6}
        if ours:
            why = _remove_from(connection, menu, ours)
            if why:
                return why
    return ""


def _remove_from(connection: Connection, menu: str, addresses: Collection[str]) -> str:
    try:
        rows = connection.print(menu, [".id", "src-address"])
        matches = _matcher(addresses if rows else ())
        connection.remove(menu, [row[".id"] for row in rows if matches(row.get("src-address", ""))])
    except GatewayError as error:
        return "" if error.code in (ErrorCode.trap, ErrorCode.permission) else str(error)
    return str(connection.error) if connection.error is not None else ""


def _matcher(addresses: Collection[str]) -> Callable[[str], bool]:
    """Whether the source of a connection, as the router prints it, is one of these."""
    single: set[str] = set()
    networks: list[IPv4Network | IPv6Network] = []
    for address in addresses:
        try:
            network = ip_network(address, strict=False)
        except ValueError:
            continue
        if network.prefixlen == network.max_prefixlen:
            single.add(str(network.network_address))
        else:
            networks.append(network)

    def matches(source: str) -> bool:
        for text in _readings(source):
            if text in single:
                return True
            if networks:
                host = ip_address(text)
                if any(host in network for network in networks):
                    return True
        return False

    return matches


def _readings(source: str) -> list[str]:
    """The addresses that a source may mean: with or without a port, IPv6 with or without brackets."""
    if source.count(":") <= 1:
        return _valid(source.partition(":")[0])
    if source.startswith("["):
        return _valid(source[1:].partition("]")[0])
    return _valid(source) + _valid(source.rpartition(":")[0])


def _valid(text: str) -> list[str]:
    try:
        return [str(ip_address(text.removesuffix("/128").removesuffix("/32")))]
    except ValueError:
        return []
