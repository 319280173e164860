"""The demo company's router: what its clients need stands there already, beside what is somebody else's."""

from collections.abc import Mapping

from wisp.demo.connections import BY_OTHERS, NEW_DEVICE, PLANS, Attachment, attachment, mac_of, plan_of
from wisp.demo.routeros import Router, address_of
from wisp.demo.routeros.seed import surroundings

PPP_BASE = "clientes"
"""The profile of the company's own that those of its plans are made from."""
GUESTS, LEASES = "10.40", "10.50"
MILLION = 1_000_000
Row = Mapping[str, str | bytes]


def fill(router: Router, clients: int) -> None:
    """Fill a fresh router for the demo company with so many clients; those on PPPoE and hotspot are on line."""
    surroundings(router)
    _profiles(router)
    secrets, queues, users, leases, guests = [], [], [], [], []
    for number in range(1, clients + 1):
        how = attachment(number)
        if how.connection == "pppoe":
            secrets.append(_secret(number, how))
        elif how.connection == "hotspot":
            users.append(_user(number, how))
            guests.append((how.username, how.address or f"{GUESTS}.{number >> 8}.{number & 255}", mac_of(number)))
        elif how.connection == "dhcp":
            leases.append(_lease(number, how))
        else:
            queues.append(_queue(number, how))
    router.load("/ppp/secret", secrets)
    router.load("/queue/simple", queues)
    router.load("/ip/hotspot/user", users)
    router.load("/ip/dhcp-server/lease", leases)
    _strangers(router)
    router.dial_all()
    for name, address, mac in guests:
        router.hotspot_login(name, address, mac)


def _profiles(router: Router) -> None:
    router.load("/ip/pool", [
        {"name": "pppoe-libres", "ranges": "10.30.0.2-10.30.15.254"},
        {"name": "dhcp-libres", "ranges": "10.50.0.2-10.50.31.254"},
    ])  # fmt: skip
    router.load("/ip/address", [{"address": "10.20.0.1/16", "interface": "bridge"}])
    router.load("/ipv6/address", [{"address": "2001:db8::1/64", "interface": "bridge"}])
    base = {"local-address": "10.20.0.1", "remote-address": "pppoe-libres", "only-one": "yes"}
    router.load("/ppp/profile", [{"name": PPP_BASE, **base}, {"name": "20megas", **base, "rate-limit": "5M/20M"}])
    ours = [
        {"name": f"wisp-plan-{at}", "rate-limit": limit(at - 1), "comment": f"wisp-plan:{at}"}
        for at in range(1, len(PLANS) + 1)
    ]
    router.load("/ppp/profile", [{**base, **row} for row in ours])
    router.load("/ip/hotspot/user/profile", [{"name": row["name"], "rate-limit": row["rate-limit"]} for row in ours])
    router.load("/ip/hotspot", [{"name": "plaza", "interface": "wlan1"}])
    router.load("/ip/dhcp-server", [{"name": "fibra", "interface": "ether3", "address-pool": "dhcp-libres"}])


def limit(plan: int) -> str:
    """Upload and download of that place in PLANS, in bit/s."""
    _name, _price, down, up = PLANS[plan]
    return f"{up * MILLION}/{down * MILLION}"


def _secret(number: int, how: Attachment) -> Row:
    row = {
        "name": how.username, "password": how.password, "service": "pppoe",
        "profile": f"wisp-plan-{plan_of(number) + 1}", "comment": f"wisp:C{number:05}",
    }  # fmt: skip
    row |= {"remote-address": how.address} if how.address else {}
    return row | ({"remote-ipv6-prefix": how.address6} if how.address6 else {})


def _queue(number: int, how: Attachment) -> Row:
    speed = limit(plan_of(number))
    if number % 1000 == BY_OTHERS:
        comment = "instaló técnico Núñez".encode("cp1252")
        return {"name": f"cola {number}", "target": f"{how.address}/32", "max-limit": speed, "comment": comment}
    target = ",".join(part for part in (f"{how.address}/32", how.address6) if part)
    return {"name": f"wisp-C{number:05}", "target": target, "max-limit": speed, "comment": f"wisp:C{number:05}"}


def _user(number: int, how: Attachment) -> Row:
    row = {
        "name": how.username, "password": how.password, "profile": f"wisp-plan-{plan_of(number) + 1}",
        "comment": f"wisp:C{number:05}",
    }  # fmt: skip
    return row | ({"address": how.address} if how.address else {})


def _lease(number: int, how: Attachment) -> Row:
    address = how.address or f"{LEASES}.{number >> 8}.{number & 255}"
    row = {
        "address": address, "mac-address": how.mac, "server": "fibra", "status": "bound", "active-address": address,
        "active-mac-address": how.mac, "active-server": "fibra",
    }  # fmt: skip
    if number % 1000 == NEW_DEVICE:
        return row | {"dynamic": "true", "host-name": f"router-{number}"}
    return row | {"rate-limit": limit(plan_of(number)), "comment": f"wisp:C{number:05}"}


def _strangers(router: Router) -> None:
    """Clients of before, whom the program does not know yet, and the lists by which another system has cut some."""
    router.load("/ppp/secret", [
        {"name": "lucia.mendez", "password": "luna77", "service": "pppoe", "profile": "20megas",
         "remote-address": "10.60.0.11", "comment": "Lucía Méndez Ibáñez".encode("cp1252")},
        {"name": "taller.munoz", "password": "llave-12", "service": "pppoe", "profile": "20megas",
         "comment": "Taller Muñoz e Hijos".encode("cp1252")},
        {"name": "raul.pena", "password": "rp2019", "service": "pppoe", "profile": PPP_BASE,
         "remote-address": "10.60.0.13", "comment": "Raúl Peña (baja en mayo)".encode("cp1252"), "disabled": "yes"},
    ])  # fmt: skip
    router.load("/ip/dhcp-server/lease", [
        {"address": "10.60.0.21", "mac-address": "02:00:00:00:AA:21", "server": "fibra", "status": "bound",
         "active-address": "10.60.0.21", "rate-limit": "3M/10M", "comment": "Farmacia Ávila".encode("cp1252")},
        {"address": "10.60.0.22", "mac-address": "02:00:00:00:AA:22", "server": "fibra", "status": "bound",
         "active-address": "10.60.0.22", "dynamic": "true", "host-name": "celular-invitado"},
    ])  # fmt: skip
    router.load("/ip/hotspot/user", [
        {"name": "cafe", "password": "expreso", "comment": "Café La Montaña".encode("cp1252")},
        {"name": "hotel", "password": "hotel-8", "address": "10.60.0.32", "comment": "Hotel Núñez".encode("cp1252")},
    ])  # fmt: skip
    router.load("/queue/simple", [
        {"name": "escuela", "target": "10.60.0.41/32", "max-limit": "10M/50M",
         "comment": "Escuela Benito Juárez - dirección".encode("cp1252")},
        {"name": "Inés Ordóñez".encode("cp1252"), "target": "10.60.0.42/32", "max-limit": "3M/10M"},
        {"name": "enlace a la torre sur", "target": "10.99.0.0/24", "max-limit": "0/200M"},
    ])  # fmt: skip
    lists = [
        ("Morosos", "10.60.0.11", "corte de junio, pagará el señor Muñoz"),
        ("Morosos", "10.60.0.41", "debe dos años"),
        ("Aviso", "10.60.0.21", "recordar el día 5"),
        ("Aviso", address_of(BY_OTHERS), "el técnico avisó"),
    ]
    router.load("/ip/firewall/address-list", [
        {"list": name, "address": address, "comment": comment.encode("cp1252")} for name, address, comment in lists
    ])  # fmt: skip
