"""What a run writes, one chunk of clients at a time: effects and ledger lines in the same transaction, set-based."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Subquery, and_, case, cast, func, literal, or_, select

from wisp.access import service as access
from wisp.clients.models import Client
from wisp.core.db import NOBODY, insert_into, session
from wisp.invoices import issuing
from wisp.invoices import service as invoices
from wisp.invoices.models import Invoice
from wisp.schedules.domain import Kind
from wisp.tasks import own_scope
from wisp.tasks.domain import NOTHING_TO_DO, Action, ItemState, Reason
from wisp.tasks.models import RunItem
from wisp.tasks.planning import Spec, candidates, not_invoiced, owes


@dataclass(frozen=True)
class Chunk:
    """What one chunk has written; the counts are added to the run's."""

    last: int
    clients: int = 0
    invoiced: int = 0
    unchanged: int = 0
    skipped: int = 0
    waiting: int = 0
    mails: int = 0
    without_email: int = 0
    amount: int = 0


def whole_range(spec: Spec) -> tuple[int, int]:
    """(last client id, how many) of all clients of the task; 0 where there are none."""
    last, count = session().execute(select(func.max(Client.id), func.count()).where(spec.clients())).one()
    return last or 0, count


def next_range(spec: Spec, after: int, size: int) -> tuple[int, int] | None:
    """(last client id, how many) of the next ``size`` clients after ``after``; None where there are no more."""
    # By zone first: it is one and the same, but PostgreSQL would otherwise look for few clients along all ids.
    in_order = (Client.zone_id, Client.id)
    ids = select(Client.id).where(spec.clients(), Client.id > after).order_by(*in_order).limit(size).subquery()
    last, count = session().execute(select(func.max(ids.c.id), func.count())).one()
    return (last, count) if count else None


def apply_chunk(spec: Spec, run_id: int, after: int, last: int, clients: int) -> Chunk:
    """Write the effects on the clients with ``after`` < id ≤ ``last`` and their ledger lines; may be repeated."""
    if spec.kind == Kind.invoices:
        return _invoice_chunk(spec, run_id, _within(after, last), last, clients)
    return _access_chunk(spec, run_id, after, last, clients)


def _within(after: int, last: int) -> tuple[ColumnElement[bool], ...]:
    return Client.id > after, Client.id <= last


def rehearse_chunk(spec: Spec) -> None:
    """The statements of a chunk of a notice or a cut, for no client."""
    _access_chunk(spec, NOBODY, NOBODY, NOBODY, 0)
    _want(spec, NOBODY, NOBODY, NOBODY)


def _invoice_chunk(spec: Spec, run_id: int, within: Any, last: int, clients: int) -> Chunk:
    terms = issuing.Terms(
        kind="recurring",
        issued=spec.today,
        due=spec.due,
        now=spec.now,
        currency=spec.company.currency,
        tax_bp=spec.company.tax_bp,
        run_id=run_id,
        month=spec.month,
        period_to=spec.cycle.period_to,
    )
    issued = issuing.issue(
        terms, _eligible(spec, within), issuing.recurring_lines(spec.cycle, spec.company.tax_bp, spec.company.tax_mode)
    )
    mails = issuing.announce(issued, terms)
    if issued.count:
        _insert_done(spec, run_id, issued.these)
    skipped = _insert_left_out(spec, run_id, within) if issued.count < clients else 0
    return Chunk(
        last=last,
        clients=clients,
        invoiced=issued.count,
        unchanged=clients - issued.count - skipped,
        skipped=skipped,
        mails=mails,
        without_email=issued.count - mails,
        amount=issued.amount,
    )


def _eligible(spec: Spec, within: Any) -> Subquery:
    """Those whom the run invoices; read by ``issuing`` under the lock that every issuer takes."""
    c = candidates(spec, not_invoiced(spec), *within).c
    chosen = select(c.client_id, c.period_from, c.net, c.tax, c.amount).where(c.action == Action.INVOICE.value)
    return chosen.subquery("eligible")


def _insert_done(spec: Spec, run_id: int, numbered: ColumnElement[bool]) -> None:
    reason = case(
        (Invoice.period_from > spec.cycle.period_from, Reason.SHORTENED.value),
        (Invoice.period_from < spec.cycle.period_from, Reason.GAP.value),
        else_=Reason.NONE.value,
    )
    query = select(
        literal(run_id), Invoice.client_id, literal(ItemState.DONE.value), reason, Invoice.total, Invoice.id,
        literal(spec.now, RunItem.updated_at.type),
    ).where(numbered)  # fmt: skip
    _write_items(["run_id", "client_id", "state", "reason", "amount", "invoice_id", "updated_at"], query)


def _items(columns: list[str], query: Any) -> Any:
    """Statement for ledger lines; one that stands already (a client that failed alone before) takes the new outcome."""
    statement = insert_into(RunItem).from_select(columns, query)
    fresh = {name: getattr(statement.excluded, name) for name in columns if name not in ("run_id", "client_id")}
    return statement.on_conflict_do_update(index_elements=["run_id", "client_id"], set_=fresh)


def _write_items(columns: list[str], query: Any) -> int:
    """Write ledger lines; how many."""
    result = session().execute(_items(columns, query), execution_options={"preserve_rowcount": True})
    return int(result.rowcount)  # type: ignore[attr-defined]


def _insert_left_out(spec: Spec, run_id: int, within: Any) -> int:
    """One line for each client whom a rule leaves out of the invoices; those who have theirs are only counted."""
    c = candidates(spec, not_invoiced(spec), *within).c
    query = select(
        literal(run_id), c.client_id, literal(ItemState.SKIPPED.value), c.reason, c.detail, c.amount, c.address,
        literal(spec.now, RunItem.updated_at.type), _own_task(spec, c),
    ).where(_left_out(spec, c))  # fmt: skip
    columns = ["run_id", "client_id", "state", "reason", "detail", "amount", "address", "updated_at"]
    return _write_items([*columns, "task_id"], query)


def _left_out(spec: Spec, c: Any) -> ColumnElement[bool]:
    """Whether a rule leaves a candidate out in a way worth a line."""
    left_out = and_(c.action == Action.NONE.value, c.reason.not_in([r.value for r in NOTHING_TO_DO]))
    if spec.kind == Kind.cut and not spec.manual:
        left_out = and_(left_out, c.reason != Reason.NOT_DUE.value)
    return left_out


def _own_task(spec: Spec, c: Any) -> ColumnElement[Any]:
    """The client's own task, where a run of its zone acts for it."""
    task = own_scope.own_task(c.client_id, spec.kind) if spec.options.own else literal(None, Integer)
    return cast(task, Integer)


def _access_chunk(spec: Spec, run_id: int, after: int, last: int, clients: int) -> Chunk:
    """Write the wanted state of those concerned; their lines wait for the router's answer."""
    within = _within(after, last)
    concerned = [owes()] if spec.plan_id is None else []  # a plan's client who owes nothing any more gets a line too
    c = candidates(spec, *concerned, *within).c
    acts = c.action == spec.action.value
    query = select(
        literal(run_id), c.client_id, case((acts, ItemState.WAITING.value), else_=ItemState.SKIPPED.value),
        case((acts, Reason.NONE.value), else_=c.reason), case((acts, ""), else_=c.detail), c.amount, c.address,
        literal(spec.now, RunItem.updated_at.type), _own_task(spec, c),
    ).where(or_(acts, _left_out(spec, c)))  # fmt: skip
    columns = ["run_id", "client_id", "state", "reason", "detail", "amount", "address", "updated_at", "task_id"]
    states = session().scalars(_items(columns, query).returning(RunItem.__table__.c.state)).all()
    waiting = states.count(ItemState.WAITING.value)
    if waiting:
        _want(spec, run_id, after, last)
    if spec.kind == Kind.cut and len(states) > waiting:
        invoices.note_spared(_promised(run_id, after, last))
    return Chunk(last=last, clients=clients, skipped=len(states) - waiting, waiting=waiting)


def _promised(run_id: int, after: int, last: int) -> Select[int]:
    """The clients whom the run passed over because of a promise."""
    return select(RunItem.client_id).where(
        RunItem.run_id == run_id,
        RunItem.reason == Reason.PROMISE.value,
        RunItem.client_id > after,
        RunItem.client_id <= last,
    )


def _want(spec: Spec, run_id: int, after: int, last: int) -> None:
    """Want on the router what the run is for, for those whose line waits."""
    waiting_ones = select(RunItem.client_id).where(
        RunItem.run_id == run_id,
        RunItem.state == ItemState.WAITING.value,
        RunItem.client_id > after,
        RunItem.client_id <= last,
    )
    if spec.kind == Kind.cut:
        basis = "open" if spec.options.include_not_due else "overdue"
        access.want_suspended(waiting_ones, basis=basis, planned_at=spec.planned_at)
    else:
        access.want_notice(waiting_ones)
