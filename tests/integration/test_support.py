"""The tests' own tools do what the tests rely on."""

import smtplib
import socket
from email.message import EmailMessage

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import text

from tests.support import guard
from tests.support.mail import MailServer
from wisp.core import audit
from wisp.core.db import dialect, session, transaction


@pytest.mark.parametrize("turn", ["first", "second"])
def test_each_test_has_a_fresh_database(app: Flask, redis: Redis, turn: str) -> None:
    with app.app_context():
        assert session().execute(text("SELECT count(*) FROM audit_entry")).scalar() == 0
        with transaction():
            audit.record("test", "nothing", after={"turn": turn})
        assert session().execute(text("SELECT id FROM company")).scalars().all() == [1]
        assert session().execute(text("SELECT id FROM invoice_series")).all() == [(1,)]
    assert redis.get("turn") is None
    redis.set("turn", turn)


def test_both_databases_are_used(app: Flask, request: pytest.FixtureRequest) -> None:
    with app.app_context():
        assert dialect() in request.node.name


def test_the_guard_refuses_other_machines() -> None:
    with pytest.raises(guard.OutsideConnection), socket.socket() as outside:
        outside.connect(("192.0.2.1", 9))
    with pytest.raises(guard.OutsideConnection):
        socket.getaddrinfo("example.com", 80)
    assert len(guard.reached()) == 2


def message(to: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "a@example.com", to, "Año"
    made.set_content("texto")
    return made


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_mail_server_fails_as_told(smtp: MailServer) -> None:
    with smtplib.SMTP(smtp.host, smtp.port) as connection:
        connection.send_message(message("one@example.com"))
        smtp.refused = {"two@example.com"}
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            connection.send_message(message("two@example.com"))
        smtp.refuse_all = True
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            connection.send_message(message("one@example.com"))
        smtp.refuse_all = False
        smtp.drop_after_data = True
        with pytest.raises(smtplib.SMTPServerDisconnected):
            connection.send_message(message("three@example.com"))
    assert smtp.addresses() == ["one@example.com", "three@example.com"]
    assert smtp.messages[0].message["Subject"] == "Año"
    smtp.off()
    with pytest.raises(ConnectionRefusedError):
        smtplib.SMTP(smtp.host, smtp.port)
    smtp.on()
    with smtplib.SMTP(smtp.host, smtp.port) as connection:
        assert connection.noop()[0] == 250
