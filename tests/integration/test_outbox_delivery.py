"""Delivery to a real mail server when all is well: what goes, how it looks, in which order."""

import dataclasses
import email
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from redis import Redis

from tests import factories
from tests.support.mail import MailServer
from tests.support.outbox import make_invoice, queued, row, states
from wisp.core import clock, queue
from wisp.core.db import db, session, transaction
from wisp.outbox import delivery, jobs, kinds, rendering, server, service, transport, trial
from wisp.outbox.kinds import Attachment, Rendered
from wisp.outbox.models import Message


def parts(smtp: MailServer, n: int = 0) -> tuple[str, str]:
    """Text and HTML of a received message."""
    body = smtp.messages[n].message
    text, html = body.get_body(("plain",)), body.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content().replace("\r\n", "\n"), html.get_content().replace("\r\n", "\n")


def test_many_messages_go_over_one_connection_each_once(ctx: Flask, smtp: MailServer) -> None:
    queued(120)
    report = delivery.deliver()
    assert (report.state, report.sent) == ("done", 120)
    assert smtp.connections == 1
    assert smtp.addresses() == [f"a{n}@example.com" for n in range(120)]
    assert states() == {"sent": 120}
    assert delivery.deliver().sent == 0
    assert len(smtp.messages) == 120


def test_an_invoice_s_e_mail_says_what_is_to_be_paid_until_when_and_how(ctx: Flask, smtp: MailServer) -> None:
    factories.make_company(
        name="Red Ñandú, S.A.", phone="55 1234 5678", how_to_pay="En la oficina\no por transferencia."
    )
    client = factories.make_client(name="José <Núñez>")
    invoice = make_invoice(7, client)
    queued(1, kind="invoice", invoice_id=invoice.id, client_id=client.id, data=None, recipient="jose@example.com")
    assert delivery.deliver().sent == 1
    message = smtp.messages[0].message
    text, html = parts(smtp)
    assert "A000007" in message["Subject"]
    assert "$350.00" in message["Subject"]
    for said in (
        "A000007",
        "$350.00",
        "20 de marzo de 2026",
        "1 de marzo de 2026",
        "31 de marzo de 2026",
        "Internet 20 Mbps, marzo",
    ):
        assert said in text
        assert said in html
    assert "José <Núñez>" in text
    assert "José &lt;Núñez&gt;" in html
    assert "En la oficina\no por transferencia." in text
    assert "En la oficina<br>o por transferencia." in html
    assert message["From"].addresses[0].display_name == "Red Ñandú, S.A."
    assert message["From"].addresses[0].addr_spec == "wisp@example.com"
    assert message["To"] == "jose@example.com"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"] is not None
    assert smtp.messages[0].sender == "wisp@example.com"


@pytest.mark.parametrize(("paid", "asked"), [(0, "$350.00"), (10000, "$250.00"), (35000, "")])
def test_an_invoice_s_e_mail_asks_for_what_is_still_open(ctx: Flask, smtp: MailServer, paid: int, asked: str) -> None:
    factories.make_company(how_to_pay="En la oficina")
    invoice = make_invoice(7, paid=paid, state="paid" if paid == 35000 else "partial" if paid else "pending")
    queued(1, kind="invoice", invoice_id=invoice.id, data=None)
    assert delivery.deliver().sent == 1
    subject = smtp.messages[0].message["Subject"]
    for body in parts(smtp):
        assert ("En la oficina" in body) is bool(asked)
        assert ("a más tardar el 20 de marzo" in " ".join(body.split())) is bool(asked)
        assert ("no tiene que hacer nada" in " ".join(body.split())) is not bool(asked)
        assert f"por {asked}" in " ".join(body.split()) or not asked
    assert asked in subject
    assert ("vence" in subject) is bool(asked)
    assert ("pagado" in subject) is not bool(asked)


def test_what_travels_is_plain_ascii_in_short_lines(ctx: Flask, smtp: MailServer) -> None:
    factories.make_company(name="Compañía de Internet del Ñandú y Hermanos, Sociedad Anónima de Capital Variable")
    client = factories.make_client(name="Ñ" * 100)
    invoice = make_invoice(1, client)
    queued(1, kind="invoice", invoice_id=invoice.id, data=None)
    settings = transport.mail_settings()
    assert settings is not None
    [made] = rendering.make_letters(list(session().scalars(sa.select(Message))), settings)
    assert made.letter is not None
    raw = made.letter.as_bytes()
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 90  # 998 is the limit, 78 the custom
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert delivery.deliver().sent == 1
    text, _ = parts(smtp)
    assert max(len(line) for line in text.splitlines()) <= 110  # 72, but a name of 100 letters cannot be broken


def test_each_client_reads_its_own_language_also_within_a_batch(ctx: Flask, smtp: MailServer) -> None:
    factories.make_company(how_to_pay="En la oficina", language="en")
    for n, language in enumerate(("es", "en", "xx")):
        invoice = make_invoice(n + 1)
        queued(1, kind="invoice", invoice_id=invoice.id, data=None, language=language)
    assert delivery.deliver().sent == 3
    for n, (language, words, day) in enumerate(
        [
            ("es", "Cómo pagar", "20 de marzo de 2026"),
            ("en", "How to pay", "March 20, 2026"),
            ("es", "Cómo pagar", "20 de marzo de 2026"),
        ]
    ):
        text, html = parts(smtp, n)
        assert f'<html lang="{language}">' in html
        assert words in text
        assert words in html
        assert day in text
        assert day in smtp.messages[n].message["Subject"]


@contextmanager
def counted() -> Iterator[list[str]]:
    """The SQL statements of the block."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(engine, "before_cursor_execute", note)


def test_texts_of_a_batch_are_read_with_few_statements(ctx: Flask, smtp: MailServer) -> None:
    factories.make_company(name="Red")
    counts = []
    for size in (2, 40):
        client = factories.make_client()
        rows = [make_invoice(size * 100 + n, client, month=None, kind="opening") for n in range(size)]
        for invoice in rows:
            queued(1, kind="invoice", invoice_id=invoice.id, data=None)
        settings = transport.mail_settings()
        assert settings is not None
        waiting = list(session().scalars(sa.select(Message).where(Message.invoice_id.in_([i.id for i in rows]))))
        with counted() as seen:
            made = rendering.make_letters(waiting, settings)
        assert all(m.letter is not None for m in made)
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 4


def test_alerts_go_before_invoices(ctx: Flask, smtp: MailServer) -> None:
    factories.make_company(alert_addresses="jefe@example.com")
    queued(3)
    with transaction():
        service.alert("alert_router_off", {"router": "Norte"})
    delivery.deliver()
    assert smtp.addresses()[0] == "jefe@example.com"


def test_an_alert_names_zone_router_task_and_who_waits(ctx: Flask, smtp: MailServer) -> None:
    factories.make_company(alert_addresses="jefe@example.com", timezone="America/Mexico_City", language="en")
    tasks = [{"kind": "cut", "zone": "Centro", "clients": 30, "codes": [f"C{n:02}" for n in range(20)]}]
    data = {
        "router": "Norte", "since": "2026-03-22T14:00:00+00:00", "error": "silent", "tasks": tasks,
        "more": [{"router": "Sur", "tasks": [{"kind": "notice", "zone": "Playa", "clients": 1, "codes": ["X1"]}]}],
    }  # fmt: skip
    with transaction():
        service.alert("alert_router_waiting", data)
        service.alert(
            "alert_router_back", {"router": "Norte", "until": "2026-03-22T15:00:00+00:00", "cut": 30, "lapsed": 0}
        )
        service.alert(
            "alert_run_failed", {"kind": "invoices", "zone": "Centro", "month": "2026-03-01", "failed": 2, "error": "x"}
        )
    assert delivery.deliver().sent == 3
    subject, (text, html) = smtp.messages[0].message["Subject"], parts(smtp, 0)
    for name in ("Norte", "Sur", "Centro", "Playa"):
        assert name in subject
    for said in ("Norte", "Centro", "Service cut", "30", "C00, C01", "C09 and 20 more", "08:00", "Playa", "X1"):
        assert said in " ".join(text.split())
        assert said in " ".join(html.split())
    back, _ = parts(smtp, 1)
    assert "Clients cut: 30" in back
    assert "No longer due: 0" in back
    assert "March 2026" in parts(smtp, 2)[0]


def test_the_message_id_belongs_to_the_row_and_the_installation(ctx: Flask, smtp: MailServer) -> None:
    first, second = queued(2)
    delivery.deliver()
    ids = [received.message["Message-ID"] for received in smtp.messages]
    assert ids == [transport.message_id(row(first)), transport.message_id(row(second))]
    assert ids[0] != ids[1]
    assert ids[0].startswith(f"<wisp.{first}.")
    other = Message(id=first, created_at=row(first).created_at + timedelta(seconds=1))
    assert transport.message_id(other) != ids[0]


def test_without_a_server_messages_wait_and_later_all_go(ctx: Flask, app: Flask, smtp: MailServer) -> None:
    told = app.config["WISP"]
    app.config["WISP"] = dataclasses.replace(told, mail_server="")
    queued(3)
    assert delivery.deliver().state == "no_server"
    assert states() == {"pending": 3}
    assert row(1).attempts == 0
    app.config["WISP"] = told
    assert delivery.deliver().sent == 3


def test_the_company_s_settings_go_before_the_environment_s(ctx: Flask, smtp: MailServer) -> None:
    factories.make_company(
        name="Red", mail_server="127.0.0.1", mail_port=smtp.port, mail_security="none", mail_sender="hola@red.mx"
    )
    queued(1)
    delivery.deliver()
    assert smtp.messages[0].sender == "hola@red.mx"


def test_old_messages_are_held_and_go_when_a_person_lets_them(ctx: Flask, smtp: MailServer) -> None:
    factories.make_company(hold_mail_days=3)
    queued(2, created_at=clock.now() - timedelta(days=3, seconds=5))
    queued(1)
    report = delivery.deliver()
    assert (report.sent, report.held) == (1, 2)
    assert states() == {"sent": 1, "held": 2}
    with transaction():
        service.release_all()
    assert delivery.deliver().sent == 2


def test_a_wrong_address_fails_at_once_and_injects_nothing(ctx: Flask, smtp: MailServer) -> None:
    [bad] = queued(1, recipient="x@example.com\nBcc: y@example.com")
    queued(1)
    report = delivery.deliver()
    assert (report.sent, report.failed) == (1, 1)
    assert (row(bad).state, row(bad).error) == ("failed", "bad_address")


def test_a_subject_or_name_with_line_breaks_stays_one_header(ctx: Flask, smtp: MailServer) -> None:
    factories.make_company(name="Red\r\nBcc: z@example.com", alert_addresses="jefe@example.com")
    with transaction():
        service.alert("alert_router_off", {"router": "Norte\nBcc: y@example.com"})
    assert delivery.deliver().sent == 1
    message = smtp.messages[0].message
    assert "Bcc" not in message
    assert smtp.messages[0].recipients == ["jefe@example.com"]
    assert "Norte Bcc: y@example.com" in message["Subject"]


def test_a_text_that_cannot_be_made_waits_and_the_others_go(
    ctx: Flask, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(message: Message) -> Rendered:
        raise KeyError("amount")

    monkeypatch.setitem(kinds._kinds, "broken", kinds.Kind(broken, None, 1))
    [bad] = queued(1, kind="broken")
    [unknown] = queued(1, kind="of_a_newer_version")
    queued(2)
    report = delivery.deliver()
    assert (report.sent, report.later) == (2, 2)
    assert row(bad).error.startswith("cannot_render: KeyError")
    assert row(unknown).error == "unknown_kind"
    assert row(bad).next_attempt_at > clock.now()


def test_a_voided_invoice_sends_nothing(ctx: Flask, smtp: MailServer) -> None:
    invoice = make_invoice(state="void")
    [made] = queued(1, kind="invoice", invoice_id=invoice.id, data=None)
    assert delivery.deliver().sent == 0
    assert (row(made).state, row(made).error) == ("failed", "void")


def test_attachments_arrive_whole(ctx: Flask, smtp: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(range(256)) * 100
    content = Rendered("Hola", "texto\n", "<p>texto</p>", [Attachment("año.pdf", "application/pdf", data)])
    monkeypatch.setitem(kinds._kinds, "file", kinds.Kind(lambda message: content, None, 1))
    queued(1, kind="file")
    delivery.deliver()
    [file] = list(smtp.messages[0].message.iter_attachments())
    assert file.get_content() == data
    assert file.get_filename() == "año.pdf"


def test_the_sweep_wakes_the_delivery_only_where_something_is_due(ctx: Flask, smtp: MailServer, redis: Redis) -> None:
    jobs.sweep()
    assert redis.llen("rq:queue:mail") == 0
    queued(1, next_attempt_at=clock.now() + timedelta(minutes=1))
    jobs.sweep()
    assert redis.llen("rq:queue:mail") == 0
    queued(1)
    with transaction():
        server.failed("unreachable", "", after_success=False)
    jobs.sweep()
    assert redis.llen("rq:queue:mail") == 0
    with clock.frozen(clock.now() + timedelta(minutes=3)):
        jobs.sweep()
        assert redis.llen("rq:queue:mail") == 1
        queue.drain()
    assert states() == {"sent": 2}


def test_where_a_person_waits_the_server_s_pause_is_passed_over(ctx: Flask, smtp: MailServer) -> None:
    queued(1, next_attempt_at=clock.now() + timedelta(hours=1))
    with transaction():
        server.failed("unreachable", "", after_success=False)
    with queue.inline(), transaction():
        service.queue_message("test", "b@example.com")
        service.request_delivery()
    assert smtp.addresses() == ["b@example.com"]
    assert states() == {"pending": 1, "sent": 1}


def test_a_test_e_mail_goes_at_once_and_leaves_a_row(ctx: Flask, smtp: MailServer) -> None:
    queued(1)
    with transaction():
        server.failed("unreachable", "", after_success=False)
    assert trial.send_test(" jefe@example.com ") == trial.Result(True)
    assert smtp.addresses() == ["jefe@example.com"]
    assert states() == {"pending": 1, "sent": 1}
    assert not server.paused()  # what waited need not wait longer
    smtp.refused = {"nadie@example.com"}
    assert trial.send_test("nadie@example.com") == trial.Result(False, "refused", "550 5.1.1 no such mailbox here")
    smtp.off()
    assert trial.send_test("jefe@example.com").code == "unreachable"
    assert trial.send_test("nobody").code == "bad_address"
    assert states() == {"pending": 1, "sent": 1, "failed": 2}


def test_unread_bytes_are_what_was_sent(ctx: Flask, smtp: MailServer) -> None:
    queued(1, data={"server": "línea.con.acentos\n.punto"})
    delivery.deliver()
    settings = transport.mail_settings()
    assert settings is not None
    [made] = rendering.make_letters(list(session().scalars(sa.select(Message))), settings)
    assert made.letter is not None
    again = email.message_from_bytes(made.letter.as_bytes(), policy=email.policy.default)
    assert again.get_body(("plain",)).get_content().replace("\r\n", "\n") == parts(smtp)[0]  # type: ignore[union-attr]
