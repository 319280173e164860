"""A router as a provider has it: rules, a profile, clients on PPPoE, and lists that are somebody else's."""

import ipaddress

from wisp.demo.routeros.router import Router

_FIRST = ipaddress.IPv4Address("10.20.0.2")


def address_of(number: int) -> str:
    """The fixed address of the client with that number, from 1."""
    return str(_FIRST + number - 1)


def seed(router: Router, clients: int) -> None:
    """Fill a fresh router: every second client (2, 4, 6 …) has a PPP secret `ppp00002` with a fixed address and is
    on line; the others have fixed addresses without any row. Some entries and rules belong to nobody of ours."""
    surroundings(router)
    router.load("/ppp/profile", [{"name": "clientes", "local-address": "10.20.0.1", "only-one": "yes"}])
    router.load(
        "/ppp/secret",
        [
            {
                "name": f"ppp{number:05}",
                "password": f"clave{number:05}",
                "service": "pppoe",
                "profile": "clientes",
                "remote-address": address_of(number),
            }
            for number in range(2, clients + 1, 2)
        ],
    )
    router.dial_all()


def surroundings(router: Router) -> None:
    """What stands there whoever its clients are: a name, rules, and lists that are somebody else's."""
    router.load("/system/identity", [{"name": "Torre Norte"}])
    router.load("/ip/firewall/nat", [{"chain": "srcnat", "out-interface": "ether1", "action": "masquerade"}])
    router.load(
        "/ip/firewall/filter",
        [
            {"chain": "forward", "action": "fasttrack-connection", "connection-state": "established,related"},
            {"chain": "forward", "action": "accept", "connection-state": "established,related,untracked"},
            {"chain": "forward", "action": "drop", "connection-state": "invalid"},
        ],
    )
    router.load(
        "/ip/firewall/address-list",
        [
            {"list": "soporte", "address": "192.0.2.0/28", "comment": "oficina"},
            {"list": "wisp-overdue", "address": "192.0.2.77", "comment": "dueño: otro sistema".encode("cp1252")},
        ],
    )
