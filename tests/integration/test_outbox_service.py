"""Use cases and queries of the outbox."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from redis import Redis

from tests import factories
from tests.support.outbox import make_invoice, queued, row, states
from wisp.core import clock
from wisp.core.audit import AuditEntry
from wisp.core.db import dialect, read_together, session, transaction
from wisp.core.errors import Refused
from wisp.core.scope import EVERYTHING, Scope
from wisp.outbox import server, service
from wisp.outbox.models import UNSENT, MailServer, Message
from wisp.settings import service as settings


def test_one_e_mail_for_an_invoice_however_often_it_is_put_in(ctx: Flask) -> None:
    invoice = make_invoice()
    with transaction():
        first = service.queue_message("invoice", "a@example.com", invoice_id=invoice.id)
        again = service.queue_message("invoice", "other@example.com", invoice_id=invoice.id)
        alert = service.queue_message("test", "a@example.com")
        another = service.queue_message("test", "a@example.com")
    assert first is not None
    assert again is None
    assert alert is not None
    assert another is not None
    assert states() == {"pending": 3}


def test_a_message_needs_a_recipient(ctx: Flask) -> None:
    with pytest.raises(ValueError), transaction():
        service.queue_message("test", "  ")


def test_an_alert_goes_to_each_address_in_the_company_s_language(ctx: Flask) -> None:
    factories.make_company(alert_addresses="a@example.com\nb@example.com", language="en")
    with transaction():
        made = service.alert("alert_router_off", {"router": "Norte"})
    assert [(m.recipient, m.language, m.priority) for m in made] == [
        ("a@example.com", "en", 0),
        ("b@example.com", "en", 0),
    ]
    factories.make_company(alert_addresses="")
    with transaction():
        assert service.alert("alert_router_off", {"router": "Norte"}) == []


def test_delivery_is_asked_for_after_the_commit_and_not_on_a_roll_back(ctx: Flask, redis: Redis) -> None:
    with pytest.raises(RuntimeError), transaction():
        service.request_delivery()
        raise RuntimeError
    assert redis.llen("rq:queue:mail") == 0
    with transaction():
        service.request_delivery()
        assert redis.llen("rq:queue:mail") == 0
    with transaction():
        service.request_delivery()
    assert redis.llen("rq:queue:mail") == 1  # one that waits is enough


def test_sending_again_is_a_new_row_and_only_once(ctx: Flask) -> None:
    invoice = make_invoice()
    [old] = queued(1, kind="invoice", data=None, invoice_id=invoice.id, client_id=invoice.client_id, state="sent")
    with transaction():
        new = service.resend(old, "right@example.com")
    assert (new.sequence, new.recipient, new.state, new.invoice_id) == (1, "right@example.com", "pending", invoice.id)
    assert row(old).state == "sent"
    with pytest.raises(Refused) as refused, transaction():
        service.resend(old)
    assert refused.value.code == "message_resent"
    with pytest.raises(Refused), transaction():
        service.resend(new.id)  # still waiting
    entry = session().scalars(sa.select(AuditEntry).where(AuditEntry.action == "outbox.resend")).one()
    assert entry.target == f"message:{old}"
    assert entry.after == {"message": new.id, "recipient": "right@example.com"}


@pytest.mark.parametrize("address", ["nobody", "a@example.com\nBcc: b@example.com"])
def test_sending_again_needs_an_address(ctx: Flask, address: str) -> None:
    [old] = queued(1, state="failed")
    with pytest.raises(Refused), transaction():
        service.resend(old, address)
    assert states() == {"failed": 1}


def test_an_alert_can_be_sent_again_only_once_too(ctx: Flask) -> None:
    [old] = queued(1, state="failed")
    with transaction():
        service.resend(old)
    with pytest.raises(Refused), transaction():
        service.resend(old)
    assert states() == {"failed": 1, "pending": 1}


def test_failed_ones_are_sent_again_together_but_not_those_that_have_nothing_left_to_send(ctx: Flask) -> None:
    queued(3, state="failed", error="550 5.4.5 limit", next_attempt_at=None, sequence=0)
    queued(1, state="failed", error="void", kind="receipt")
    queued(1, state="failed", error="550", kind="test", recipient="again@example.com")
    failed = queued(2, state="failed", error="550 no", kind="receipt")
    with transaction():
        service.resend(failed[0])
    with transaction():
        assert service.resend_failed() == 1
        assert service.resend_failed() == 0
    made = session().scalars(sa.select(Message).where(Message.resend_of == failed[1])).one()
    assert (made.state, made.kind, made.sequence, made.attempts, made.recipient) == (
        "pending", "receipt", 1, 0, "a1@example.com",
    )  # fmt: skip


def test_sending_again_to_several_addresses(ctx: Flask) -> None:
    [failed] = queued(1, state="failed", error="550")
    with pytest.raises(Refused, match="nobody"), transaction():
        service.resend(failed, "ana@example.com; nobody")
    with transaction():
        assert (
            service.resend(failed, " ana@example.com,luis@example.com ").recipient
            == "ana@example.com; luis@example.com"
        )


def test_holding_and_releasing(ctx: Flask) -> None:
    [one, sent] = [queued(1)[0], queued(1, state="sent")[0]]
    with transaction():
        service.hold(one)
    assert (row(one).state, row(one).error) == ("held", "by_person")
    with pytest.raises(Refused), transaction():
        service.hold(sent)
    with pytest.raises(Refused), transaction():
        service.release(sent)
    with transaction():
        service.resend(one)  # it never went, so it is the same row
    assert row(one).state == "pending"
    assert row(one).error == ""
    with pytest.raises(Refused), transaction():
        service.hold(99_999)


def test_what_is_older_than_the_setting_is_held_and_a_released_one_counts_anew(ctx: Flask) -> None:
    factories.make_company(hold_mail_days=3)
    [old] = queued(1, created_at=clock.now() - timedelta(days=3, minutes=1))
    [young] = queued(1, created_at=clock.now() - timedelta(days=2, hours=23))
    [gone] = queued(1, created_at=clock.now() - timedelta(days=9), state="sent")
    with transaction():
        assert service.hold_old() == 1
    assert (row(old).state, row(young).state, row(gone).state) == ("held", "pending", "sent")
    assert row(old).error == "too_old"
    with transaction():
        assert service.release_all() == 1
    with transaction():
        assert service.hold_old() == 0
    assert row(old).state == "pending"


def test_the_list_finds_by_recipient_subject_and_code_and_keeps_to_the_scope(ctx: Flask) -> None:
    north, south = factories.make_zone(name="Norte"), factories.make_zone(name="Sur")
    ana = factories.make_client(north, code="ANA-1")
    eva = factories.make_client(south, code="EVA%1")
    [one] = queued(1, client_id=ana.id, recipient="ana@example.com", subject="Aviso de marzo")
    [two] = queued(1, client_id=eva.id, recipient="eva@example.com", state="failed")
    [alert] = queued(1, recipient="jefe@example.com", kind="alert_router_off")

    def found(scope: Scope = EVERYTHING, **only: str) -> set[int]:
        return {message.id for message, _ in session().execute(service.listing(scope, service.Filter(**only)))}

    assert found() == {one, two, alert}
    assert found(text="ANA@EX") == {one}
    assert found(text="de marzo") == {one}
    assert found(text="%") == {two}  # a sign, not a pattern
    assert found(text="ana-1") == {one}
    assert found(state="failed") == {two}
    assert found(kind="alert_router_off") == {alert}
    assert found(Scope(frozenset({north.id}))) == {one}
    assert service.find(two, Scope(frozenset({north.id}))) is None
    assert service.counts() == {"pending": 2, "sending": 0, "failed": 1, "held": 0}
    assert service.counts(Scope(frozenset({south.id})))["failed"] == 1


def test_other_mail_settings_end_the_pause(ctx: Flask) -> None:
    with transaction():
        server.failed("unreachable", "nobody there", after_success=False)
    assert server.paused()
    with transaction():
        settings.save_company({"name": "Otra"})
    assert server.paused()
    with transaction():
        settings.save_company({"mail_port": 2525})
    assert not server.paused()
    assert session().get_one(MailServer, 1).error == "unreachable"  # until an attempt says otherwise


def test_the_queue_is_read_by_its_index(ctx: Flask) -> None:
    queued(50)
    query = (
        sa.select(Message.id)
        .where(Message.state == "pending", UNSENT, Message.next_attempt_at <= clock.now())
        .order_by(Message.priority, Message.next_attempt_at, Message.id)
        .limit(10)
    )
    if dialect() == "postgresql":
        read_together()
        session().execute(sa.text("SET LOCAL enable_seqscan = off"))
    compiled = query.compile(session().get_bind(), compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN " if dialect() == "sqlite" else "EXPLAIN "
    plan = str(session().execute(sa.text(explain + str(compiled))).all())
    assert "ix_message_unsent" in plan
