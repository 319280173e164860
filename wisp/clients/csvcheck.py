"""Checking a client CSV against what is there now. It writes nothing; csvimport writes what a review allows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

from wisp.clients import csvfile, domain
from wisp.clients.csvfile import Problem, Row
from wisp.clients.models import Client, Plan
from wisp.core import crypto, money
from wisp.core.db import Base, session
from wisp.core.scope import EVERYTHING, Scope
from wisp.routers import service as routers
from wisp.settings import service as settings

T = TypeVar("T")
CHUNK = 5_000
COLUMNS = (
    "name", "email", "phone", "zone_id", "router_id", "plan_id", "connection", "address", "mac", "username", "password",
    "language", "installed_on", "billed_through", "legal_name", "tax_id", "address6",
)  # fmt: skip


@dataclass(slots=True)
class Planned:
    """One row of the file and what it means. ``client_id`` None = a new client; ``values``: all columns of a new
    client, else those that change; ``before``: their present values; ``router_id``: the client's present router."""

    line: int
    code: str
    values: dict[str, Any]
    client_id: int | None = None
    router_id: int = 0
    before: dict[str, Any] = field(default_factory=dict)
    balance: int | None = None
    state: str = ""


@dataclass
class Review:
    """What importing a file would do. ``ignored``: rows of present clients whose balance or state is passed over."""

    added: list[Planned] = field(default_factory=list)
    changed: list[Planned] = field(default_factory=list)
    unchanged: int = 0
    ignored: int = 0
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0

    def refuse(self, problem: Problem) -> None:
        """Note a problem; only the first MAX_PROBLEMS are kept, all are counted."""
        self.problem_count += 1
        if len(self.problems) < csvfile.MAX_PROBLEMS:
            self.problems.append(problem)

    @property
    def rows(self) -> int:
        """How many clients the file holds."""
        return len(self.added) + len(self.changed) + self.unchanged


def check(data: bytes, scope: Scope = EVERYTHING) -> Review:
    """Read and check a file against what is there now; writes nothing. Only zones inside ``scope`` count."""
    review = Review()
    columns, rows, problems = csvfile.read(data)
    for problem in problems:
        review.refuse(problem)
    if columns and not (problems and not rows):
        _Checker(review, columns, scope).run(rows)
    review.problems.sort(key=lambda problem: problem.line)
    return review


def check_rows(columns: Sequence[str], rows: Sequence[Row], scope: Scope = EVERYTHING) -> Review:
    """The same checks for rows that come from elsewhere; ``columns`` as the header of a file would name them."""
    review = Review()
    _Checker(review, tuple(columns), scope).run(rows)
    return review


class _Checker:
    """The checks of one file, with what is looked up for them once."""

    def __init__(self, review: Review, columns: tuple[str, ...], scope: Scope) -> None:
        self.review, self.columns, self.scope = review, columns, scope
        self.zones = routers.zones(scope)
        self.plans = dict(session().execute(sa.select(Plan.name, Plan.id)).all())
        company = settings.company()
        self.currency, self.language = company.currency, company.language
        self.zone_found: dict[str, tuple[int, int] | str] = {}
        self.codes: dict[str, int] = {}
        self.taken: dict[tuple[Any, ...], Planned] = {}

    def run(self, rows: Sequence[Row]) -> None:
        """Check every row, then addresses and users against the clients that are not in the file."""
        present = _present([row.cells["code"] for row in rows])
        planned = [plan for row in rows if (plan := self._row(row, present.get(row.cells["code"])))]
        self._against_others(planned)
        open_accounts = _with_account([p.client_id for p in planned if p.client_id and p.balance])
        for plan in planned:
            self._sort_out(plan, plan.client_id in open_accounts)

    def _row(self, row: Row, present: Any) -> Planned | None:
        before = self.review.problem_count
        code = self._read(row, "code")
        if code and code in self.codes:
            self._refuse(row, "code", "code_twice", code=code, line=self.codes[code])
        self.codes.setdefault(code, row.line)
        if present is not None and not self.scope.allows(present.zone_id):
            self._refuse(row, "code", "code_taken", code=code)
            return None
        if present is not None and present.cancelled_at is not None:
            if self._read(row, "state") != "cancelled":
                self._refuse(row, "code", "code_cancelled", code=code)
            self.review.unchanged += self.review.problem_count == before
            return None
        values = self._values(row, present)
        planned = Planned(row.line, code, values, present.id if present else None)
        planned.balance, planned.state = self._balance(row), self._read(row, "state")
        if self.review.problem_count > before:
            return None
        if planned.state != "cancelled" or present:
            self._claim(row, planned)
        if present:
            planned.router_id = present.router_id
            planned.values = {name: value for name, value in values.items() if not _same(present, name, value)}
            planned.before = {name: getattr(present, name) for name in planned.values}
        return planned

    def _values(self, row: Row, present: Any) -> dict[str, Any]:
        """The columns that the row speaks of; an empty password, language or date of the last bill says nothing."""
        names = [name for name in COLUMNS if name in self.columns]
        values = {name: self._read(row, name) for name in names}
        zone = self._zone(row)
        values["zone_id"], values["router_id"] = zone
        values["plan_id"] = self.plans.get(row.cells["plan"])
        if values["plan_id"] is None:
            self._refuse(row, "plan", "plan_unknown" if row.cells["plan"] else "required", name=row.cells["plan"])
        if domain.missing_username(values["connection"], values["username"]):
            self._refuse(row, "username", "username_required")
        if present:
            silent = ("password", "language", "billed_through")
            return {name: value for name, value in values.items() if value or name not in silent}
        values["language"] = values["language"] or self.language
        return values

    def _read(self, row: Row, name: str) -> Any:
        cell = row.cells.get(name, "")
        if name == "language" and not cell:
            return ""
        if name == "state":
            reader = (lambda text: domain.read_choice(text, domain.STATES)) if cell else str
        else:
            reader = domain.READERS[name]
        try:
            return reader(cell)
        except ValueError as error:
            self._refuse(row, name, str(error), value=cell[:80])
            return ""

    def _zone(self, row: Row) -> tuple[int, int]:
        name = row.cells["zone"]
        if name not in self.zone_found:
            found = routers.pick_zone(self.zones, name)
            if len(found) == 1:
                self.zone_found[name] = (found[0].id, found[0].router_id)
            else:
                self.zone_found[name] = ("zone_ambiguous" if found else "zone_unknown") if name else "required"
        zone = self.zone_found[name]
        if isinstance(zone, str):
            self._refuse(row, "zone", zone, name=name)
            return 0, 0
        return zone

    def _balance(self, row: Row) -> int | None:
        cell = row.cells.get("balance", "")
        try:
            return (money.parse_money(cell, self.currency, allow_negative=True) or None) if cell else None
        except ValueError:
            self._refuse(row, "balance", "amount", value=cell[:80])
            return None

    def _claim(self, row: Row, planned: Planned) -> None:
        """Note address and user of the row; another row of the file must not have them."""
        values = planned.values
        for name, key in _keys(values["router_id"], values["connection"], values):
            other = self.taken.setdefault(key, planned)
            if other is not planned:
                self._refuse(row, name, f"{name}_twice", value=values[name], code=other.code, line=other.line)

    def _against_others(self, planned: Sequence[Planned]) -> None:
        """Refuse addresses and users of clients that the file does not speak of."""
        known = set(self.codes)
        for name, column in _ALONE.items():
            wanted = [key[-1] for key in self.taken if key[0] == name]
            for part in chunks(wanted):
                for other in session().execute(_holders().where(column.in_(part))):
                    keys = dict(_keys(other.router_id, other.connection, other._asdict()))
                    mine = self.taken.get(keys.get(name, ()))
                    if mine is not None and other.code not in known:
                        values = {"value": keys[name][-1], "code": other.code, "name": other.name}
                        self.review.refuse(Problem(mine.line, name, f"{name}_taken", values))

    def _sort_out(self, planned: Planned, has_account: bool) -> None:
        """Count the row as new, changed or unchanged."""
        if planned.client_id is None:
            self.review.added.append(planned)
            return
        if planned.state or (planned.balance and has_account):
            self.review.ignored += 1
        planned.state = ""
        planned.balance = None if has_account else planned.balance
        if planned.values or planned.balance:
            self.review.changed.append(planned)
        else:
            self.review.unchanged += 1

    def _refuse(self, row: Row, column: str, reason: str, **values: Any) -> None:
        self.review.refuse(Problem(row.line, column, reason, values))


def _present(codes: Sequence[str]) -> dict[str, Any]:
    """The clients of these codes, by code."""
    columns = [getattr(Client, name) for name in COLUMNS]
    found: dict[str, Any] = {}
    for part in chunks(list(dict.fromkeys(code for code in codes if code))):
        query = sa.select(Client.id, Client.code, Client.cancelled_at, *columns).where(Client.code.in_(part))
        found.update({row.code: row for row in session().execute(query)})
    return found


def _with_account(client_ids: Sequence[int]) -> set[int]:
    """Those of the clients that have an invoice or a payment. Both are of a higher slice: asked by table name."""
    found: set[int] = set()
    for part in chunks(client_ids):
        for name in ("invoice", "payment"):
            table = Base.metadata.tables[name]
            query = sa.select(table.c.client_id).where(table.c.client_id.in_(part)).distinct()
            found.update(session().scalars(query))
    return found


def _holders() -> Any:
    return sa.select(Client.code, Client.name, Client.router_id, Client.connection, *_ALONE.values()).where(
        Client.cancelled_at.is_(None)
    )


_ALONE = {"address": Client.address, "address6": Client.address6, "username": Client.username}
"""What nobody else on the router may have (a user: nobody with the same kind of connection)."""


def _keys(router_id: int, connection: str, values: Mapping[str, Any]) -> list[tuple[str, tuple[Any, ...]]]:
    """What of these values nobody else may have, each as a key that tells it apart."""
    keys: list[tuple[str, tuple[Any, ...]]] = []
    for name in _ALONE:
        if values.get(name):
            kind = (connection,) if name == "username" else ()
            keys.append((name, (name, router_id, *kind, values[name])))
    return keys


def _same(present: Any, name: str, value: Any) -> bool:
    if name == "password":
        return crypto.is_same(present.password, value)
    return bool(getattr(present, name) == value)


def chunks(items: Sequence[T]) -> Iterator[list[T]]:
    """``items`` in parts that one statement takes."""
    iterator = iter(items)
    while part := list(islice(iterator, CHUNK)):
        yield part
