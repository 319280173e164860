"""P3: 2,000 invoice e-mails to a local mail server, against the same messages, made before, over one connection.

The mail server is aiosmtpd in a process of its own, which throws everything away.
"""

import asyncio
import json
import signal
import smtplib
import sys
import time
from statistics import median
from typing import Any

import sqlalchemy as sa

from tests.bench.figures import Figure
from tests.bench.ground import KINDS, Ground, ground, in_program, running, session
from tests.factories import make_clients, make_company, make_plan, make_zone
from wisp.core import db
from wisp.core.db import transaction
from wisp.outbox import delivery, transport
from wisp.outbox.models import Message
from wisp.outbox.rendering import make_letters
from wisp.schedules.models import PeriodicTask
from wisp.tasks import runner, service

EMAILS = 2_000
REPEATS = 3


def deliver() -> dict[str, Any]:
    """In a fresh process: send what waits, as the worker does."""
    begun = time.perf_counter()
    report = delivery.deliver()
    return {"seconds": time.perf_counter() - begun, "sent": report.sent}


def bare() -> dict[str, Any]:
    """In a fresh process: make all messages, then hand them over one after the other."""
    settings = transport.mail_settings()
    assert settings is not None
    rows = db.session().scalars(sa.select(Message).where(Message.state == "pending")).all()
    letters = [(made.letter.send_to, made.letter.as_bytes()) for made in make_letters(rows, settings) if made.letter]
    begun = time.perf_counter()
    with smtplib.SMTP(settings.server, settings.port) as line:
        for recipients, content in letters:
            line.sendmail(settings.sender, list(recipients), content)
        seconds = time.perf_counter() - begun
    return {"seconds": seconds, "sent": len(letters), "bytes": sum(len(content) for _, content in letters)}


async def swallow() -> None:
    """A mail server that accepts all and keeps nothing; prints its port."""
    from aiosmtpd.smtp import SMTP

    class Handler:
        async def handle_DATA(self, *_: object) -> str:
            return "250 2.0.0 gone"

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(lambda: SMTP(Handler(), hostname="mail.test", loop=loop), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await stop.wait()
    server.close()


def _provide(place: Ground) -> None:
    """A run's e-mails, waiting."""
    with place.app.app_context():
        make_company(tax_bp=1600, email="facturas@example.com")
        make_clients(EMAILS, make_zone(), make_plan())
        task = db.session().scalars(sa.select(PeriodicTask).where(PeriodicTask.kind == "invoices")).one()
        with transaction():
            run_id = service.order(task).id
        runner.work(run_id)
    place.keep()


def _measure(place: Ground) -> Figure:
    _provide(place)
    server = place.start(__name__, "swallow")
    with running(server):
        assert server.stdout is not None
        port = str(json.loads(server.stdout.readline())["port"])
        mail = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": port, "MAIL_USE_TLS": "0"}
        rates, floors = [], []
        for _ in range(REPEATS):
            place.restore()
            floor = place.child(__name__, "bare", **mail)
            sent = place.child(__name__, "deliver", **mail)
            assert sent["sent"] == floor["sent"] == EMAILS, (sent, floor)
            rates.append(EMAILS / sent["seconds"])
            floors.append(EMAILS / floor["seconds"])
    note = f"median of {REPEATS}; {floor['bytes'] // EMAILS:,} bytes each, without PDF"
    return Figure(
        "P3",
        f"{EMAILS:,} invoice e-mails, {place.kind}",
        median(rates),
        median(floors) / 3,
        "a second",
        floor=median(floors),
        at_least=True,
        note=note,
    )


def run() -> list[Figure]:
    """Both databases, one after the other."""
    figures = []
    for kind in KINDS:
        with session() as server, ground(kind, server) as place:
            figures.append(_measure(place))
    return figures


if __name__ == "__main__":
    if sys.argv[1] == "swallow":
        asyncio.run(swallow())
    else:
        in_program({"bare": bare, "deliver": deliver}[sys.argv[1]])
