"""``flask outbox`` and ``flask mail``."""

import json
from datetime import timedelta

import pytest
from flask import Flask

from tests.support.mail import MailServer
from tests.support.outbox import queued, states
from wisp.core import clock

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def test_the_list_is_a_bare_array(app: Flask) -> None:
    with app.app_context():
        queued(2)
        queued(1, state="failed", error="550 no")
    answer = app.test_cli_runner().invoke(args=["outbox", "list", "--json"])
    assert answer.exit_code == 0
    rows = json.loads(answer.stdout)
    assert [row["id"] for row in rows] == [1, 2, 3]
    assert rows[2]["state"] == "failed"
    assert rows[2]["error"] == "550 no"
    assert rows[0]["recipient"] == "a0@example.com"
    only = app.test_cli_runner().invoke(args=["outbox", "list", "--state", "failed", "--json"])
    assert [row["id"] for row in json.loads(only.stdout)] == [3]


def test_deliver_respects_the_pauses_unless_told_otherwise(app: Flask, smtp: MailServer) -> None:
    with app.app_context():
        queued(2, next_attempt_at=clock.now() + timedelta(hours=1))
    runner = app.test_cli_runner()
    assert json.loads(runner.invoke(args=["outbox", "deliver", "--json"]).stdout)["sent"] == 0
    assert json.loads(runner.invoke(args=["outbox", "deliver", "--all", "--json"]).stdout)["sent"] == 2


def test_a_delivery_that_fails_says_why_and_exits_with_1(app: Flask, smtp: MailServer) -> None:
    smtp.off()
    with app.app_context():
        queued(1)
    answer = app.test_cli_runner().invoke(args=["outbox", "deliver"])
    assert answer.exit_code == 1
    assert len(answer.stderr.strip().splitlines()) == 1


def test_resend(app: Flask, smtp: MailServer) -> None:
    with app.app_context():
        queued(1, state="sent")
    runner = app.test_cli_runner()
    answer = runner.invoke(args=["outbox", "resend", "1", "--json"])
    assert answer.exit_code == 0
    assert json.loads(answer.stdout)["id"] == 2
    again = runner.invoke(args=["outbox", "resend", "1"])
    assert again.exit_code == 1
    assert runner.invoke(args=["outbox", "resend", "99"]).exit_code == 1
    with app.app_context():
        assert states() == {"sent": 1, "pending": 1}


def test_mail_test(app: Flask, smtp: MailServer) -> None:
    runner = app.test_cli_runner()
    assert runner.invoke(args=["mail", "test", "jefe@example.com"]).exit_code == 0
    assert smtp.addresses() == ["jefe@example.com"]
    smtp.refused = {"nadie@example.com"}
    refused = runner.invoke(args=["mail", "test", "nadie@example.com"])
    assert refused.exit_code == 1
    assert "550 5.1.1" in refused.stderr
