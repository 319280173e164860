"""A mail server that is off, slow, refuses, breaks off; a deliverer that is killed; two at once. After each: nothing
lost, nothing doubled (but the one of unknown fate), nothing said that is not so.
"""

import socket
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from tests import factories
from tests.support import mail as fake
from tests.support.mail import MailServer
from tests.support.outbox import queued, row, states
from wisp.core import clock
from wisp.core.db import session, transaction
from wisp.core.lease import LEASE
from wisp.outbox import delivery, server, service, transport
from wisp.outbox.models import MailServer as ServerRow

ROOT = Path(__file__).resolve().parent.parent.parent


def later(**span: float) -> datetime:
    """A moment ahead, past all jitter."""
    return clock.now() + timedelta(**span) * 1.3


def server_row() -> ServerRow:
    session().rollback()
    return session().get_one(ServerRow, 1, populate_existing=True)


def test_server_off_costs_no_message_an_attempt_and_all_go_when_it_is_back(ctx: Flask, smtp: MailServer) -> None:
    smtp.off()
    queued(30)
    moment, waits = clock.now(), []
    for _ in range(5):
        with clock.frozen(moment):
            report = delivery.deliver()
            assert (report.state, report.code, report.sent) == ("trouble", "unreachable", 0)
            assert delivery.deliver().state == "paused"  # nobody knocks again at once
        until = server_row().paused_until
        assert until is not None
        waits.append((until - moment) / timedelta(minutes=1))
        moment = until
    for wait, least in zip(waits, (1, 5, 15, 60, 60), strict=True):
        assert least <= wait <= least * 1.2
    assert states() == {"pending": 30}
    assert row(1).attempts == 0
    smtp.on()
    with clock.frozen(moment):
        assert delivery.deliver().sent == 30
    assert states() == {"sent": 30}
    assert smtp.addresses() == [f"a{n}@example.com" for n in range(30)]
    assert (server_row().error, server_row().failures, server_row().paused_until) == ("", 0, None)


def test_a_person_s_order_ignores_the_pauses(ctx: Flask, smtp: MailServer) -> None:
    with transaction():
        server.failed("unreachable", "", after_success=False)
    queued(2, next_attempt_at=clock.now() + timedelta(hours=1))
    assert delivery.deliver().state == "paused"
    assert delivery.deliver(ignore_pauses=True).sent == 2


def test_a_slow_server_that_answers_in_time_is_no_fault(ctx: Flask, smtp: MailServer) -> None:
    smtp.slow = 0.05
    queued(4)
    assert delivery.deliver().sent == 4
    assert smtp.connections == 1


def test_time_that_is_up_leaves_the_rest_free_for_the_next(
    ctx: Flask, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "monotonic", lambda: float(len(smtp.messages)))  # each message takes a second
    queued(10)
    report = delivery.deliver(seconds=3)
    assert (report.state, report.sent) == ("more", 4)
    assert states() == {"sent": 4, "pending": 6}
    assert delivery.deliver(seconds=99).sent == 6
    assert len(set(smtp.addresses())) == len(smtp.addresses()) == 10


def test_no_answer_after_data_is_an_unknown_fate(ctx: Flask, smtp: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "REPLY_SECONDS", 0.2)
    smtp.slow = 0.6
    one, two = queued(2)
    report = delivery.deliver()
    assert (report.state, report.code, report.unknown) == ("trouble", "dropped", 1)
    assert (row(one).state, row(one).possible_duplicate, row(one).attempts) == ("pending", True, 1)
    assert (row(two).state, row(two).possible_duplicate, row(two).attempts) == ("pending", False, 0)


def test_a_silent_server_is_a_timeout_and_touches_no_message(ctx: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        factories.make_company(mail_server="127.0.0.1", mail_port=silent.getsockname()[1], mail_security="none")
        queued(2)
        report = delivery.deliver()
    assert (report.state, report.code) == ("trouble", "timeout")
    assert states() == {"pending": 2}
    assert row(1).attempts == 0


@pytest.mark.parametrize("place", [0, 2, 4])
def test_one_refused_address_fails_with_the_server_s_words_and_the_others_go(
    ctx: Flask, smtp: MailServer, place: int
) -> None:
    smtp.refused = {f"a{place}@example.com"}
    ids = queued(5)
    report = delivery.deliver()
    assert (report.state, report.sent, report.failed, report.later) == ("done", 4, 1, 0)
    bad = row(ids[place])
    assert (bad.state, bad.error, bad.next_attempt_at) == ("failed", "550 5.1.1 no such mailbox here", None)
    assert smtp.connections == 1


def test_a_lone_refused_address_fails_too(ctx: Flask, smtp: MailServer) -> None:
    smtp.refused = {"a0@example.com"}
    queued(1)
    assert delivery.deliver().failed == 1
    assert states() == {"failed": 1}


def test_a_server_that_refuses_all_fails_nobody_and_all_go_later(ctx: Flask, smtp: MailServer) -> None:
    smtp.refuse_all = True
    queued(40)
    report = delivery.deliver()
    assert (report.state, report.code, report.failed) == ("trouble", "refusing", 0)
    assert states() == {"pending": 40}
    assert sum(row(n).attempts for n in range(1, 41)) == delivery.ALIKE
    smtp.refuse_all = False
    with clock.frozen(later(minutes=2)):
        assert delivery.deliver().sent == 40
    assert len(set(smtp.addresses())) == len(smtp.addresses()) == 40


@pytest.mark.parametrize(
    "answer",
    [
        "550 5.4.5 Daily user sending limit exceeded",
        "550 5.7.1 message rejected as spam by our policy",
        "452 4.3.1 insufficient system storage",
        "554 your reputation is too low",
    ],
)
def test_a_limit_of_the_sender_pauses_the_outbox_fails_nobody_and_tells_a_person_once(
    ctx: Flask, smtp: MailServer, answer: str
) -> None:
    factories.make_company(alert_addresses="noc@example.com")
    smtp.after, smtp.then = 3, answer
    queued(8)
    report = delivery.deliver()
    assert (report.state, report.code, report.sent, report.failed) == ("trouble", "limit", 3, 0)
    assert (server_row().error, server_row().detail) == ("limit", answer)
    assert states() == {"sent": 3, "pending": 6}  # one of them tells a person
    with clock.frozen(later(minutes=2)):
        assert (delivery.deliver().code, len(smtp.messages)) == ("limit", 3)
    smtp.after = None
    with clock.frozen(later(hours=3)):
        assert delivery.deliver().sent == 6
    assert sorted(smtp.addresses()) == sorted([*(f"a{n}@example.com" for n in range(8)), "noc@example.com"])
    told = next(m.message for m in smtp.messages if m.recipients == ["noc@example.com"])
    assert answer in " ".join(told.get_body(("plain",)).get_content().split())


def test_several_refused_in_the_same_words_are_not_at_fault_themselves(
    ctx: Flask, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "REFUSED", "554 5.7.1 <{address}>: access denied, id 7f3a{address}")
    smtp.refused = {f"a{n}@example.com" for n in (1, 3, 5)}
    queued(8)
    assert delivery.deliver().code == "refusing"
    assert states() == {"sent": 3, "pending": 5}
    smtp.refused = {"a1@example.com"}  # one alone is: it fails, and the others go
    with clock.frozen(later(hours=1)):
        assert (delivery.deliver().failed, states()) == (1, {"sent": 7, "failed": 1})


def test_one_message_goes_to_all_addresses_of_a_client_and_fails_only_where_all_refuse(
    ctx: Flask, smtp: MailServer
) -> None:
    smtp.refused = {"old@example.com", "gone@example.com"}
    some, none = (
        queued(1, recipient=to)[0] for to in ("ana@example.com; old@example.com", "old@example.com, gone@example.com")
    )
    report = delivery.deliver()
    assert (report.sent, report.failed) == (1, 1)
    assert [m.recipients for m in smtp.messages] == [["ana@example.com"]]
    assert {a.addr_spec for a in smtp.messages[0].message["To"].addresses} == {"ana@example.com", "old@example.com"}
    assert (row(some).state, row(some).error) == ("sent", "partly: old@example.com: 550 5.1.1 no such mailbox here")
    assert row(none).state == "failed"


def test_many_bad_addresses_do_not_keep_the_good_ones_back(ctx: Flask, smtp: MailServer) -> None:
    smtp.refused = {f"a{n}@example.com" for n in range(12)}
    queued(15)
    moment = clock.now()
    for _ in range(6):
        with clock.frozen(moment):
            delivery.deliver()
            moment = later(hours=2)
    assert states() == {"failed": 12, "sent": 3}


def test_try_later_is_tried_later_with_growing_pauses(
    ctx: Flask, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "REFUSED", "451 4.7.1 greylisted, come back")
    smtp.refused = {"a1@example.com"}
    ids = queued(3)
    moment, waits = clock.now(), []
    for _ in range(4):
        with clock.frozen(moment):
            delivery.deliver()
            bad = row(ids[1])
            assert (bad.state, bad.error) == ("pending", "451 4.7.1 greylisted, come back")
            assert bad.next_attempt_at is not None
            waits.append((bad.next_attempt_at - moment) / timedelta(minutes=1))
            moment = bad.next_attempt_at
    assert [1 <= waits[0] <= 1.2, 5 <= waits[1] <= 6, 15 <= waits[2] <= 18, 60 <= waits[3] <= 72] == [True] * 4
    assert row(ids[1]).attempts == 4
    smtp.refused = set()
    with clock.frozen(moment):
        assert delivery.deliver().sent == 1
    assert states() == {"sent": 3}


def test_dropped_after_data_is_tried_once_more_with_the_same_id_and_marked(ctx: Flask, smtp: MailServer) -> None:
    smtp.drop_after_data = True
    one, two = queued(2)
    report = delivery.deliver()
    assert (report.state, report.code, report.unknown, report.sent) == ("trouble", "dropped", 1, 0)
    assert row(one).possible_duplicate
    assert not row(two).possible_duplicate
    smtp.drop_after_data = False
    with clock.frozen(later(minutes=2)):
        assert delivery.deliver().sent == 2
    assert sorted(smtp.addresses()) == ["a0@example.com", "a0@example.com", "a1@example.com"]
    doubled = [m.message["Message-ID"] for m in smtp.messages if m.recipients == ["a0@example.com"]]
    assert doubled[0] == doubled[1]
    assert (row(one).state, row(one).possible_duplicate) == ("sent", True)


def test_an_unknown_fate_for_the_second_time_waits_for_a_person(ctx: Flask, smtp: MailServer) -> None:
    smtp.drop_after_data = True
    [one] = queued(1)
    delivery.deliver()
    with clock.frozen(later(minutes=2)):
        delivery.deliver()
    with clock.frozen(later(hours=9)):
        delivery.deliver()
    assert smtp.addresses() == ["a0@example.com"] * 2
    assert (row(one).state, row(one).error) == ("held", "unknown_twice")


def test_a_server_that_takes_few_messages_a_connection_gets_several(
    ctx: Flask, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = {"count": 0}
    accept = smtp.handle_RCPT

    async def some(conversation, session_, envelope, address, options):  # type: ignore[no-untyped-def]
        taken["count"] += 1
        if taken["count"] % 4 == 0:
            return "421 4.7.0 too many messages in this connection"
        return await accept(conversation, session_, envelope, address, options)

    monkeypatch.setattr(smtp, "handle_RCPT", some)
    queued(9)
    moment = clock.now()
    for _ in range(3):
        with clock.frozen(moment):
            assert delivery.deliver().state == "done"
            moment = later(hours=2)
    assert states() == {"sent": 9}
    assert len(set(smtp.addresses())) == len(smtp.addresses()) == 9


def test_one_message_that_upsets_the_server_does_not_keep_the_others_back(
    ctx: Flask, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = smtp.handle_RCPT

    async def upset(conversation, session_, envelope, address, options):  # type: ignore[no-untyped-def]
        if address == "a0@example.com":
            conversation.transport.abort()
            return "250 OK"
        return await accept(conversation, session_, envelope, address, options)

    monkeypatch.setattr(smtp, "handle_RCPT", upset)
    [bad, *_] = queued(4)
    assert delivery.deliver().code == "dropped"
    with clock.frozen(later(minutes=1)):
        delivery.deliver()
    assert sorted(smtp.addresses()) == ["a1@example.com", "a2@example.com", "a3@example.com"]
    assert (row(bad).state, row(bad).possible_duplicate) == ("pending", False)


def test_a_refused_sender_is_the_server_s_matter_not_the_message_s(
    ctx: Flask, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> str:
        return "550 5.7.1 not your address"

    monkeypatch.setattr(smtp, "handle_MAIL", refuse, raising=False)
    queued(3)
    report = delivery.deliver()
    assert (report.state, report.code, report.detail) == ("trouble", "sender", "550 5.7.1 not your address")
    assert states() == {"pending": 3}


def test_a_lease_that_passed_is_not_written_over(ctx: Flask, smtp: MailServer) -> None:
    [one] = queued(1)
    ids, lease = delivery.claim()
    assert ids == [one]
    assert delivery.claim()[0] == []
    with clock.frozen(clock.now() + LEASE + timedelta(seconds=1)):
        again, newer = delivery.claim()
        assert again == [one]
        assert newer != lease
        run = delivery._Delivery(transport.mail_settings(), delivery.Report(), time.monotonic() + 9)  # type: ignore[arg-type]
        assert run._begin(delivery.Outgoing(one, "", None), lease) is None
        assert row(one).state == "pending"
        assert run._begin(delivery.Outgoing(one, "", None), newer) is not None
        assert row(one).state == "sending"


def test_a_batch_is_held_for_longer_while_it_is_worked_at(ctx: Flask, smtp: MailServer, monkeypatch) -> None:
    """A message takes half the lease. Another deliverer, who looks just before the next one, finds nothing."""
    count, found = 6, []
    queued(count)
    begin = clock.now()
    real = delivery._Delivery._send

    def send(self, *rest) -> None:
        real(self, *rest)
        clock._frozen = begin + len(found) * (LEASE / 2)
        found.append(delivery.claim()[0])
        clock._frozen += LEASE / 2

    monkeypatch.setattr(delivery._Delivery, "_send", send)
    with clock.frozen(begin):
        assert delivery.deliver().sent == count
    assert found == [[]] * count


def test_two_deliverers_at_once_send_nothing_twice(
    app: Flask, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "BATCH", 5)
    monkeypatch.setattr(delivery, "claim", lambda limit=5, claim=delivery.claim: claim(limit))
    smtp.slow = 0.005
    with app.app_context():
        queued(60)
    reports: list[delivery.Report] = []

    def work() -> None:
        with app.app_context():
            reports.append(delivery.deliver())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(reports) == 2
    assert sum(report.sent for report in reports) == 60
    assert all(report.sent > 0 for report in reports)  # both took part
    assert len(set(smtp.addresses())) == len(smtp.addresses()) == 60
    with app.app_context():
        assert states() == {"sent": 60}


def test_a_killed_deliverer_leaves_one_message_of_unknown_fate(
    ctx: Flask, smtp: MailServer, environment: dict[str, str]
) -> None:
    smtp.slow = 0.1
    ids = queued(30)
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "outbox", "deliver"],
        cwd=ROOT,
        env={
            **environment, "MAIL_SERVER": smtp.host, "MAIL_PORT": str(smtp.port),
            "MAIL_DEFAULT_SENDER": "wisp@example.com",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        limit = time.monotonic() + 60
        while len(smtp.messages) < 5 and time.monotonic() < limit and process.poll() is None:
            time.sleep(0.01)
        assert len(smtp.messages) >= 5
    finally:
        process.kill()
        process.wait(10)
    time.sleep(0.3)  # what the server had in hand, it finishes
    arrived = set(smtp.addresses())
    smtp.slow = 0
    found = states()
    assert found.get("sending", 0) <= 1
    assert found["sent"] + found.get("sending", 0) in (len(arrived), len(arrived) + 1)
    assert delivery.deliver().sent <= 30 - len(arrived)  # the taken rows are free once the lease has passed
    with clock.frozen(later(minutes=10)):
        delivery.deliver()
    assert states() == {"sent": 30}
    twice = [address for address in arrived if smtp.addresses().count(address) > 1]
    assert len(twice) <= 1
    marked = [n for n in ids if row(n).possible_duplicate]
    assert len(marked) == found.get("sending", 0)
    assert {f"a{ids.index(n)}@example.com" for n in marked} >= set(twice)
    assert len(smtp.messages) == 30 + len(twice)


def test_a_message_lost_in_sending_is_held_the_second_time(ctx: Flask) -> None:
    past = clock.now() - timedelta(seconds=1)
    [first] = queued(1, state="sending", lease_until=past)
    [second] = queued(1, state="sending", lease_until=past, possible_duplicate=True)
    [working] = queued(1, state="sending", lease_until=clock.now() + timedelta(minutes=1))
    assert service.due()
    with transaction():
        assert delivery.recover_lost() == 2
    assert (row(first).state, row(first).possible_duplicate, row(first).error) == ("pending", True, "unknown")
    assert (row(second).state, row(second).error, row(second).next_attempt_at) == ("held", "unknown_twice", None)
    assert row(working).state == "sending"
