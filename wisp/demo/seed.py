"""The demo company: a router with two billing zones and 5,000 clients read from a CSV file, some of whom owe.

``python -m wisp.demo.seed --router PORT`` migrates the database that the environment names and fills it, once.
"""

import argparse
import csv
import io
import json
import secrets
import sys
from datetime import timedelta

from flask import Flask
from flask_migrate import upgrade

from wisp.access import service as access
from wisp.access.provision import service as provision
from wisp.clients import csvcheck, csvimport, plans
from wisp.core import audit, clock
from wisp.core.db import transaction
from wisp.core.permissions import Role
from wisp.demo.connections import PLANS, attachment, plan_of
from wisp.demo.tower import PPP_BASE
from wisp.factory import create_app
from wisp.routers import service as routers
from wisp.routers.models import Router
from wisp.schedules.domain import Kind
from wisp.settings import service as settings
from wisp.staff import passwords
from wisp.staff import service as staff

CLIENTS = 5000
PASSWORD = "demostracion"  # noqa: S105 - printed on the screen, for a demo that listens on this machine only
PEOPLE = (
    ("admin@demo.example", "Ana Torres", Role.ADMIN),
    ("caja@demo.example", "Carlos Ruiz", Role.CASHIER),
    ("soporte@demo.example", "Sofía Peña", Role.SUPPORT),
)
ROUTER_USER, ROUTER_PASSWORD = "wisp", "secret"
ZONES = (
    ("Norte", "prepaid", 20, {Kind.invoices: (15, 720), Kind.notice: (18, 540), Kind.cut: (22, 480)}),
    ("Sur", "postpaid", 5, {Kind.invoices: (28, 600), Kind.notice: (3, 540), Kind.cut: (8, 480)}),
)
OLD_DEBT_DAYS = 35
PAGES = "198.51.100.10"
"""Where the routers' rules lead those who are cut; of documentation, since the demo listens on this machine only."""
FIRST = ("Ana", "Luis", "María", "José", "Lucía", "Juan", "Sofía", "Pedro", "Elena", "Iván", "Nuria", "Óscar")
LAST = ("García", "Hernández", "López", "Martínez", "Muñoz", "Núñez", "Pérez", "Ramírez", "Sánchez", "Vázquez")
HEADER = (
    "code", "name", "email", "phone", "zone", "plan", "connection", "address", "mac", "username", "password",
    "language", "installed_on", "balance", "address6",
)  # fmt: skip


def client_row(number: int) -> dict[str, str]:
    """The CSV row of one client, attached as on the simulated router; every fifth owes; every hundredth has no e-mail
    address; every twentieth reads English.
    """
    first, last, other = FIRST[number % 12], LAST[(number // 12) % 10], LAST[(number // 120 + number) % 10]
    how = attachment(number)
    return {
        "code": f"C{number:05}",
        "name": f"{first} {last} {other}",
        "email": "" if number % 100 == 0 else f"cliente{number:05}@example.com",
        "phone": f"55 {1000 + number % 9000:04} {number:04}",
        "zone": ZONES[number * len(ZONES) // (CLIENTS + 1)][0],
        "plan": PLANS[plan_of(number)][0],
        "connection": how.connection,
        "address": how.address,
        "address6": how.address6,
        "mac": how.mac,
        "username": how.username,
        "password": how.password,
        "language": "en" if number % 20 == 0 else "es",
        "installed_on": "2024-03-01",
        "balance": "350.00" if number % 5 == 0 else "",
    }


def clients_csv(clients: int) -> bytes:
    """A file as a provider would bring it."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, HEADER)
    writer.writeheader()
    writer.writerows(client_row(number) for number in range(1, clients + 1))
    return buffer.getvalue().encode()


def fill(app: Flask, router_port: int, clients: int = CLIENTS) -> bool:
    """Write the demo company. Where it is there already (False), its router is as new and listens elsewhere: order that
    it be given everything again."""
    with app.app_context():
        audit.act_as(audit.Actor("cli:demo"))
        with transaction() as session:
            present = session.query(Router).first()
            if present is not None:
                present.port = router_port
                provision.request([present.id], whole=True)
                access.request_sync([present.id])
                return False
            _company()
            router = routers.add_router(
                routers.RouterValues(
                    "Torre Norte", "127.0.0.1", router_port, ROUTER_USER, ROUTER_PASSWORD, ppp_base=PPP_BASE
                )
            )
            for name, billing_type, due_day, moments in ZONES:
                routers.add_zone(router, name, billing_type=billing_type, due_day=due_day, moments=moments)
        _import(clients_csv(clients))
        return True


def _company() -> None:
    settings.save_company(
        {
            "name": "Demo Inalámbrica",
            "timezone": "America/Mexico_City",
            "currency": "MXN",
            "tax_bp": 1600,
            "alert_addresses": "alertas@demo.example",
            "how_to_pay": "Transferencia a la cuenta 0123 4567 8901 2345 67 o en nuestra oficina.",
            "phone": "55 0000 0000",
            "page_servers": PAGES,
            "payment_hosts": "pagos.demo.example",
        }
    )
    for address, name, role in PEOPLE:
        user = staff.create(address, name, role, secrets.token_urlsafe())
        user.password_hash = passwords.hashed(PASSWORD)  # which nobody could choose
    for name, price, down, up in PLANS:
        plans.add(name, price, down * 1_000_000, up * 1_000_000)


def _import(data: bytes) -> None:
    """Through the real import, dated some weeks ago, so that the opening balances are overdue today."""
    with clock.frozen(clock.now() - timedelta(days=OLD_DEBT_DAYS)), transaction():
        review = csvcheck.check(data)
        if review.problems:
            raise RuntimeError(f"the demo's clients cannot be imported: {review.problems[:3]}")
        csvimport.apply(review)


def main(arguments: list[str] | None = None) -> int:
    """Migrate and fill; prints the log-ins as JSON."""
    parser = argparse.ArgumentParser(prog="python -m wisp.demo.seed")
    parser.add_argument("--router", type=int, required=True, help="port of the simulated router")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    options = parser.parse_args(arguments)
    app = create_app()
    with app.app_context():
        upgrade()
    fill(app, options.router, options.clients)
    print(json.dumps({"logins": [[address, PASSWORD, role] for address, _name, role in PEOPLE]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
