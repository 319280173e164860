"""Delivery: takes waiting messages, hands them to the mail server over one connection, records each fate.

How nothing is lost or doubled, whatever is killed and whenever:

- A deliverer takes a batch by setting ``lease_until`` on rows that stay ``pending``. Two deliverers never take the
  same row; the exact moment of the lease is the proof of ownership. Rows of a deliverer that died are free again
  when the lease has passed, as if nobody had touched them.
- Just before a message is handed over its row turns ``sending``, in the same short transaction that records the fate
  of the one before. So a killed deliverer leaves at most one row whose fate is unknown.
- No transaction is open while the mail server is talked to.
- These short transactions do not wait for the disk (the one at the end of a batch does). Killing any process loses
  nothing; a power cut of the database's machine may forget the last half second, whose messages then go twice.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from wisp.core import clock
from wisp.core.db import session, transaction
from wisp.core.lease import LEASE
from wisp.core.sql import unhurried
from wisp.outbox import domain, server, service, transport
from wisp.outbox.models import UNSENT, MailServer, Message
from wisp.outbox.rendering import Outgoing, make_letters
from wisp.outbox.transport import Answer, Fate, Line, MailSettings, MailTrouble, Trouble

BATCH = 50
SECONDS = 240.0
ALIKE = 3
"""So many recipients of one batch refused in the same words: it is us that the server refuses, not them."""
REFUSALS_IN_A_ROW = 10
"""So many messages refused one after the other, none accepted: it is the server that refuses, not the addresses."""
TRIES_WHEN_REFUSED = 3
log = logging.getLogger(__name__)
_table: Any = Message.__table__
# Built once: these two run for every message.
_BEGIN = (
    sa.update(_table)
    .where(
        _table.c.id == sa.bindparam("row"),
        _table.c.state == "pending",
        _table.c.lease_until == sa.bindparam("taken"),
        unhurried(),
    )
    .values(state="sending", lease_until=sa.bindparam("own"), subject=sa.bindparam("text"))
)
_SENT = (
    sa.update(_table)
    .where(
        _table.c.id == sa.bindparam("row"),
        _table.c.state == "sending",
        _table.c.lease_until == sa.bindparam("own"),
        unhurried(),
    )
    .values(
        state="sent",
        sent_at=sa.bindparam("now"),
        error=sa.bindparam("partly"),
        lease_until=None,
        next_attempt_at=None,
        attempts=_table.c.attempts + 1,
    )
)


@dataclass
class Report:
    """What one delivery did. ``state``: ``done``, ``more`` (the time was up), ``paused``, ``no_server`` or
    ``trouble`` (then ``code`` and ``detail`` say which)."""

    state: str = "done"
    sent: int = 0
    failed: int = 0
    later: int = 0
    unknown: int = 0
    held: int = 0
    code: str = ""
    detail: str = ""


def deliver(*, ignore_pauses: bool = False, despite_pause: bool = False, seconds: float = SECONDS) -> Report:
    """Send what is due, until nothing is left or ``seconds`` have passed. May run twice and at the same time as
    another. ``ignore_pauses``: a person wants it now, whatever pauses the server or a message has; ``despite_pause``:
    only the server's pause is passed over."""
    report = Report()
    with transaction():
        report.held = service.hold_old()
        recover_lost()
        if ignore_pauses:
            _forget_pauses()
    try:
        settings = transport.mail_settings()
    except MailTrouble as trouble:
        _give_up(report, trouble)
        return report
    if settings is None:
        report.state = "no_server"
        return report
    if server.paused() and not despite_pause:
        report.state = "paused"
        return report
    _Delivery(settings, report, monotonic() + seconds).run()
    return report


def recover_lost() -> int:
    """Take back rows that a dead deliverer left ``sending``: nobody knows whether the server took them. Each is tried
    once more, marked; after a second time a person decides. In the present transaction; returns how many."""
    lost = [_table.c.state == "sending", UNSENT, service.unleased()]
    result = session().execute(sa.update(_table).where(*lost).values(**_unknown()))
    count: int = result.rowcount  # type: ignore[attr-defined]
    if count:
        log.warning("%s e-mails of unknown fate are tried once more", count)
    return count


def _unknown(detail: str = "", wait: timedelta = timedelta(0)) -> dict[str, Any]:
    again = _table.c.possible_duplicate
    return {
        "state": sa.case((again, "held"), else_="pending"),
        "error": sa.case((again, "unknown_twice"), else_=f"unknown: {detail}" if detail else "unknown"),
        "next_attempt_at": sa.case((again, sa.null()), else_=sa.literal(clock.now() + wait, _table.c.sent_at.type)),
        "possible_duplicate": True,
        "attempts": _table.c.attempts + 1,
        "lease_until": None,
    }


def _forget_pauses() -> None:
    now = clock.now()
    waiting = [_table.c.state == "pending", UNSENT, _table.c.next_attempt_at > now]
    session().execute(sa.update(_table).where(*waiting).values(next_attempt_at=now))
    session().execute(sa.update(MailServer).values(paused_until=None))


def claim(limit: int = BATCH) -> tuple[list[int], datetime]:
    """Take up to ``limit`` due rows, urgent ones first: their ids and the lease, which proves that they are ours."""
    lease = clock.now() + LEASE
    free = (
        sa.select(_table.c.id)
        .where(
            _table.c.state == "pending",
            UNSENT,
            clock.due(_table.c.next_attempt_at, domain.LONGEST_PAUSE),
            service.unleased(),
        )
        .order_by(_table.c.priority, _table.c.next_attempt_at, _table.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    with transaction() as s:
        ids = list(s.scalars(free))
        if ids:
            s.execute(sa.update(_table).where(_table.c.id.in_(ids)).values(lease_until=lease))
    return ids, lease


def _take(ids: Sequence[int], lease: datetime, until: datetime | None) -> None:
    """Hold rows that were taken and not begun until then, or give them back (None)."""
    if ids:
        mine = [_table.c.id.in_(ids), _table.c.state == "pending", _table.c.lease_until == lease]
        with transaction() as s:
            s.execute(sa.update(_table).where(*mine).values(lease_until=until))


@dataclass
class _Result:
    """The fate of one message, to be recorded with the beginning of the next; ``values`` None: it was accepted,
    ``partly``: but not for these of its recipients."""

    id: int
    lease: datetime
    values: dict[str, Any] | None
    partly: str = ""
    at: datetime = field(default_factory=clock.now)


@dataclass
class _Delivery:
    """One call of ``deliver``."""

    settings: MailSettings
    report: Report
    deadline: float
    lease: datetime = field(default_factory=clock.now)
    line: Line | None = None
    result: _Result | None = None
    refused: list[int] = field(default_factory=list)
    alike: dict[str, list[int]] = field(default_factory=dict)
    """Refused in this batch without a word of the recipient, by what was said; judged when the batch is through."""

    def run(self) -> None:
        """Batch after batch."""
        try:
            while True:
                if monotonic() > self.deadline:
                    self.report.state = "more"
                    break
                ids, self.lease = claim()
                if not ids:
                    break
                try:
                    self._batch(ids)
                finally:
                    self._flush()
                    _take(ids, self.lease, None)
                self.refused += [id for same in self.alike.values() for id in same]
            self._settle_refused()
        except MailTrouble as trouble:
            _give_up(self.report, trouble)
        finally:
            self._close()
        if self.report.sent and self.report.state != "trouble":
            with transaction():
                server.worked()

    def _batch(self, ids: Sequence[int]) -> None:
        self.alike = {}
        rows = {m.id: m for m in session().scalars(sa.select(Message).where(Message.id.in_(ids)))}
        ready = make_letters([rows[i] for i in ids if i in rows], self.settings)
        rows.clear()
        session().rollback()  # no transaction, not even a reading one, stays open while the network is waited for
        for number, outgoing in enumerate(ready):
            if monotonic() > self.deadline:
                return
            self._renew(ids[number:])
            if outgoing.letter is None:
                self._unmade(outgoing, self.lease)
                continue
            self._open()
            begun = self._begin(outgoing, self.lease)
            if begun is not None:
                self._send(outgoing, begun)

    def _renew(self, ids: Sequence[int]) -> None:
        """Hold the rest of the batch for longer, once half of its lease is over."""
        now = clock.now()
        if self.lease - now < LEASE / 2:
            _take(ids, self.lease, now + LEASE)
            self.lease = now + LEASE

    def _open(self) -> None:
        if self.line is None:
            self.line = Line(self.settings)
            try:
                self.line.__enter__()
            except BaseException:
                self.line = None
                raise

    def _close(self) -> None:
        line, self.line = self.line, None
        if line is not None:
            line.__exit__()

    def _begin(self, outgoing: Outgoing, lease: datetime) -> datetime | None:
        """Record the fate of the message before and turn this one's row ``sending``; its own lease, or None where the
        row is not ours any more (the lease passed, a person held it)."""
        own = clock.now() + domain.SENDING
        values = {"row": outgoing.id, "taken": lease, "own": own, "text": outgoing.subject}
        with transaction() as s:
            self._record(s)
            count = s.connection().execute(_BEGIN, values).rowcount
        self.result = None
        return own if count == 1 else None

    def _record(self, s: Session) -> None:
        result = self.result
        if result is None:
            return
        if result.values is None:
            values = {"row": result.id, "own": result.lease, "now": result.at, "partly": result.partly}
            count = s.connection().execute(_SENT, values).rowcount
        else:
            mine = [_table.c.id == result.id, _table.c.state == "sending", _table.c.lease_until == result.lease]
            count = s.connection().execute(sa.update(_table).where(*mine).values(**result.values)).rowcount
        if count != 1:
            log.warning("e-mail %s was taken by another deliverer meanwhile", result.id)

    def _flush(self) -> None:
        if self.result is not None:
            with transaction() as s:
                self._record(s)
            self.result = None

    def _send(self, outgoing: Outgoing, lease: datetime) -> None:
        assert self.line is not None and outgoing.letter is not None  # noqa: S101, PT018 - opened by the caller
        try:
            answer = self.line.hand_over(outgoing.letter)
        except MailTrouble as trouble:
            # it waits behind the others, so that one message that upsets the server cannot keep them all back
            self.result = _Result(
                outgoing.id, lease, {**_later(trouble.detail or str(trouble.code)), "state": "pending"}
            )
            self._reconnect(trouble)
            return
        self.result = _Result(outgoing.id, lease, self._judge(outgoing.id, answer))
        if answer.fate is Fate.ACCEPTED and answer.detail:
            self.result.partly = f"partly: {answer.detail}"
        if answer.fate is Fate.UNKNOWN:
            self._reconnect(MailTrouble(Trouble.DROPPED, answer.detail))
        elif answer.fate is Fate.ACCEPTED and self.refused:
            self._flush()
            self._settle_refused()
        elif max(map(len, self.alike.values()), default=0) >= ALIKE:
            self._flush()
            raise MailTrouble(Trouble.REFUSING, answer.detail)
        elif len(self.refused) >= REFUSALS_IN_A_ROW:
            self._flush()
            self._fail(self.refused, _table.c.attempts >= TRIES_WHEN_REFUSED)
            self.refused = []
            raise MailTrouble(Trouble.REFUSING, answer.detail)

    def _reconnect(self, trouble: MailTrouble) -> None:
        """Give the connection up. One that took messages before may only have had enough of them: the next message
        tries a new one. One that took none has shown that the server cannot be used; so has a limit."""
        useful = self.line is not None and self.line.accepted > 0
        self._close()
        if not useful or trouble.code is Trouble.LIMIT:
            raise trouble

    def _judge(self, message_id: int, answer: Answer) -> dict[str, Any] | None:
        """The columns that record ``answer``, None for accepted. A refusal is not final at once: see
        ``_settle_refused``."""
        if answer.fate is Fate.ACCEPTED:
            self.report.sent += 1
            return None
        if answer.fate is Fate.UNKNOWN:
            self.report.unknown += 1
            return _unknown(answer.detail, domain.pause(1))
        self.report.later += 1
        if domain.about(answer.detail) is domain.About.RECIPIENT:
            self.refused.append(message_id)
        else:
            self.alike.setdefault(domain.alike(answer.detail), []).append(message_id)
        return {**_later(answer.detail), "state": "pending"}

    def _settle_refused(self) -> None:
        """The server works, so those that it refused for good (5xx) end as failed; those with "later" (4xx) wait."""
        ids, self.refused = self.refused, []
        self._fail(ids)

    def _fail(self, ids: Sequence[int], *more: Any) -> None:
        if not ids:
            return
        rule = [_table.c.id.in_(ids), _table.c.state == "pending", _table.c.error.like("5%"), *more]
        with transaction() as s:
            count: int = s.execute(  # type: ignore[attr-defined]
                sa.update(_table).where(*rule).values(state="failed", next_attempt_at=None)
            ).rowcount
        self.report.failed += count
        self.report.later -= count

    def _unmade(self, outgoing: Outgoing, lease: datetime) -> None:
        values = _later(outgoing.error)
        if outgoing.final:
            values = {**values, "state": "failed", "next_attempt_at": None}
            self.report.failed += 1
        else:
            self.report.later += 1
        mine = [_table.c.id == outgoing.id, _table.c.state == "pending", _table.c.lease_until == lease]
        with transaction() as s:
            s.execute(sa.update(_table).where(*mine).values(**values))


def _later(error: str) -> dict[str, Any]:
    """The columns of a message that failed once more; its pause grows with its attempts."""
    now, kind = clock.now(), _table.c.sent_at.type
    steps = range(1, len(domain.PAUSES))
    moments = [(_table.c.attempts == n - 1, sa.literal(now + domain.pause(n), kind)) for n in steps]
    last = sa.literal(now + domain.pause(len(domain.PAUSES)), kind)
    return {
        "attempts": _table.c.attempts + 1,
        "next_attempt_at": sa.case(*moments, else_=last),
        "error": error,
        "lease_until": None,
    }


def _give_up(report: Report, trouble: MailTrouble) -> None:
    report.state, report.code, report.detail = "trouble", str(trouble.code), trouble.detail
    log.warning("the mail server cannot be used: %s %s", trouble.code, trouble.detail)
    with transaction():
        server.failed(str(trouble.code), trouble.detail, after_success=report.sent > 0)
