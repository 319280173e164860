"""Checking a client CSV against what is there now. It writes nothing; csvimport writes what a review allows."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from wisp.clients import csvfile, domain, networks, nextrun
from wisp.clients.csvfile import Problem, Row
from wisp.clients.holders import Holders
from wisp.clients.models import Client, Plan
from wisp.clients.spool import Spool
from wisp.core import crypto, money, sheets
from wisp.core.db import Base, session
from wisp.core.errors import Refused
from wisp.core.locales import formatting_locale
from wisp.core.scope import EVERYTHING, Scope
from wisp.core.sheets import Habits, Unreadable
from wisp.core.text import damaged_number
from wisp.routers import service as routers
from wisp.settings import service as settings

T = TypeVar("T")
CHUNK = 5_000
COLUMNS = (
    "name", "email", "phone", "phone2", "zone_id", "router_id", "plan_id", "connection", "address", "mac", "username",
    "password", "language", "installed_on", "billed_through", "legal_name", "tax_id", "fiscal_address", "address6",
    "service_address", "coordinates", "note", "free", "no_notice", "no_cut", "no_cut_until",
)  # fmt: skip
_READ = tuple(name for name in COLUMNS if name in domain.READERS)
_SILENT = ("password", "language", "billed_through")
"""Empty, these say nothing about a client that is there."""
_TEXTS = ("name", "note", "legal_name", "fiscal_address", "service_address")
_DIGITS = ("phone", "phone2", "username", "password", "tax_id")
"""What a spreadsheet takes for a number though it is none, and takes the first noughts from."""


class Rows(Protocol[T]):
    """A list or a Spool."""

    def append(self, item: T, /) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[T]: ...
    def __getitem__(self, part: slice, /) -> Sequence[T]: ...


@dataclass(slots=True)
class Planned:
    """One row of the file and what it means. ``client_id`` None = a new client; ``values``: all columns of a new
    client, else those that change (``networks`` besides); ``before``: their present values; ``router_id``: the client's
    present router."""

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
    """What importing a file would do. ``passwords``: how many of the changed clients get another password.

    ``ignored``: rows of present clients whose balance or state is passed over; ``dropped``: cells out of which format
    characters were left; the first of each are named (``notes``). ``next_run``: how many clients of the file would be
    invoiced in the next run. ``encoding``: how the file was read, where it is a text.
    """

    added: Rows[Planned] = field(default_factory=list)
    changed: Rows[Planned] = field(default_factory=list)
    unchanged: int = 0
    passwords: int = 0
    ignored: int = 0
    dropped: int = 0
    notes: list[Problem] = field(default_factory=list)
    next_run: int = 0
    encoding: str = ""
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0

    def refuse(self, problem: Problem) -> None:
        """Note a problem; only the first MAX_PROBLEMS are kept, all are counted."""
        self.problem_count += 1
        if len(self.problems) < csvfile.MAX_PROBLEMS:
            self.problems.append(problem)

    def note(self, remark: Problem) -> None:
        """Name something that was passed over; only the first few are kept."""
        if len(self.notes) < 20:
            self.notes.append(remark)

    @property
    def rows(self) -> int:
        """How many clients the file holds."""
        return len(self.added) + len(self.changed) + self.unchanged


def check(data: bytes, scope: Scope = EVERYTHING) -> Review:
    """Read and check a file against what is there now; writes nothing. Only zones inside ``scope`` count.

    The file is gone through twice, a few thousand rows in memory at a time: first for how it writes dates and amounts.
    """
    review = Review(Spool(), Spool())
    try:
        table = csvfile.open_table(data)
        missing = [name for name in csvfile.BASE if name not in table.columns]
        for problem in [*(Problem(table.line, name, "column_missing") for name in missing), *table.problems]:
            review.refuse(problem)
        review.encoding = table.encoding
        if not review.problem_count:
            _Checker(review, table.columns, scope, csvfile.habits(table)).run(table.rows())
    except Unreadable as broken:
        review.refuse(broken.problem)
    review.problems.sort(key=lambda problem: problem.line)
    return review


def check_rows(columns: Sequence[str], rows: Sequence[Row], scope: Scope = EVERYTHING) -> Review:
    """The same checks for rows that come from elsewhere; ``columns`` as the header of a file would name them."""
    review = Review()
    _Checker(review, tuple(columns), scope, Habits()).run(rows)
    return review


class _Checker:
    """The checks of one file, with what is looked up for them once."""

    def __init__(self, review: Review, columns: tuple[str, ...], scope: Scope, habits: Habits) -> None:
        self.review, self.columns, self.scope, self.habits = review, columns, scope, habits
        self.zones = routers.zones(scope)
        self.plans = dict(session().execute(sa.select(Plan.name, Plan.id)).all())
        self.company = settings.company()
        self.locale = formatting_locale(self.company.language, self.company.currency)
        self.zone_found: dict[str, tuple[int, int] | str] = {}
        self.codes: dict[str, int] = {}
        self.holders = Holders()
        self.next_run = nextrun.Counter()

    def run(self, rows: Iterable[Row | Problem]) -> None:
        """Check every row, then addresses and users against the clients that are not in the file."""
        for part in chunks(rows):
            self._part(part)
        for line, column, reason, values in self.holders.conflicts(self.codes):
            self.review.refuse(Problem(line, column, reason, values))
        self.review.next_run = self.next_run.total

    def _part(self, part: Sequence[Row | Problem]) -> None:
        here: list[Row] = []
        for row in part:
            if isinstance(row, Problem):
                self.review.refuse(row)
            else:
                guarded = {name: cell for name, cell in row.cells.items() if cell[:1] == "'"}
                row.cells.update({name: domain.unguard_cell(cell) for name, cell in guarded.items()})
                here.append(row)
        present = _present([row.cells["code"] for row in here])
        padded = _with_noughts([code for row in here if (code := row.cells["code"]) not in present])
        planned = []
        for row in here:
            self._tell_dropped(row)
            code = row.cells["code"]
            if code in padded:
                self._refuse(row, "code", "zeros_lost", value=code, present=padded[code])
            elif plan := self._row(row, present.get(code)):
                planned.append((plan, present.get(code)))
        accounts = _with_account([plan.client_id for plan, _present in planned if plan.client_id and plan.balance])
        self.next_run.add(planned)
        for plan, before in planned:
            self._sort_out(plan, before, plan.client_id in accounts)

    def _tell_dropped(self, row: Row) -> None:
        """Format characters are left out and named; out of a password nothing is left."""
        for name, found in row.dropped.items():
            if name == "password":
                self._refuse(row, name, "invisible_in", found=found)
            else:
                self.review.dropped += 1
                self.review.note(Problem(row.line, name, "dropped", {"found": found}))

    def _row(self, row: Row, present: Any) -> Planned | None:
        before = self.review.problem_count
        code = self._read(row, "code")
        if code and code in self.codes:
            self._refuse(row, "code", "code_twice", code=code, line=self.codes[code])
        self.codes.setdefault(code, row.line)
        if present is not None and not self.scope.allows(present["zone_id"]):
            self._refuse(row, "code", "code_taken", code=code)
            return None
        if present is not None and present["cancelled_at"] is not None:
            if self._choice(row, "state", domain.STATES) != "cancelled":
                self._refuse(row, "code", "code_cancelled", code=code)
            self.review.unchanged += self.review.problem_count == before
            return None
        values = self._values(row, present)
        planned = Planned(row.line, code, values, present["id"] if present else None)
        planned.balance, planned.state = self._balance(row), self._choice(row, "state", domain.STATES)
        for name in ("price", "payer"):
            if row.cells.get(name):
                self._refuse(row, name, "not_yet")
        if self.review.problem_count > before:
            return None
        if planned.state != "cancelled" or present:
            self._claim(row, planned, present)
        if present:
            planned.router_id = present["router_id"]
            planned.values = {name: value for name, value in values.items() if not _same(present, name, value)}
            planned.before = {name: present[name] for name in planned.values}
        return planned

    def _values(self, row: Row, present: Any) -> dict[str, Any]:
        """The columns that the row speaks of; an empty password, language or date of the last bill says nothing."""
        values = {name: self._read(row, name, present) for name in _READ if name in self.columns}
        values["zone_id"], values["router_id"] = self._zone(row)
        values["plan_id"] = self.plans.get(row.cells["plan"])
        if values["plan_id"] is None:
            self._refuse(row, "plan", "plan_unknown" if row.cells["plan"] else "required", name=row.cells["plan"])
        if "networks" in self.columns:
            values["networks"] = self._read(row, "networks", present) or ()
        values |= self._exceptions(row, present)
        if domain.missing_username(values["connection"], values["username"]):
            self._refuse(row, "username", "username_required")
        if present:
            return {name: value for name, value in values.items() if value or name not in _SILENT}
        values["language"] = values["language"] or self.company.language
        return values

    def _exceptions(self, row: Row, present: Any) -> dict[str, Any]:
        """Free service, no notice, no cut (also until a date). An empty cell says nothing."""
        values: dict[str, Any] = {}
        for name in ("free", "no_notice"):
            answer = self._choice(row, name, ("yes", "no"))
            if answer or (present is None and name in self.columns):
                values[name] = answer == "yes"
        cell = csvfile.said("no_cut", row.cells.get("no_cut", ""))
        if cell == "yes":
            values["no_cut"] = True
        elif cell == "no":
            values |= {"no_cut": False, "no_cut_until": None}
        elif cell:
            values |= {
                "no_cut": False,
                "no_cut_until": self._checked(row, "no_cut", cell, lambda text: self._date(text, "no_cut")),
            }
        if present is None and "no_cut" in self.columns:
            values = {"no_cut": False, "no_cut_until": None} | values
        return values

    def _read(self, row: Row, name: str, present: Any = None) -> Any:
        """The value of a cell. One that says what is there already is not checked again."""
        cell = csvfile.said(name, row.cells.get(name, ""))
        if name == "language" and not cell:
            return ""
        if present is not None and name != "password" and cell == csvfile.cell(present[name]):
            return present[name]
        if damaged_number(cell) and name not in _TEXTS:
            return self._refuse(row, name, "damaged")
        if present is not None and name in _DIGITS and _lost_noughts(cell, present, name):
            return self._refuse(row, name, "zeros_lost", value=cell, present="0…" + cell)
        if name in csvfile.DATES:
            return self._checked(row, name, cell, lambda text: self._date(text, name))
        return self._checked(row, name, cell, domain.READERS[name])

    def _date(self, cell: str, name: str) -> date | None:
        return domain.read_date(sheets.iso_date(cell, self.habits.orders.get(name, "")))

    def _checked(self, row: Row, name: str, cell: str, reader: Callable[[str], Any]) -> Any:
        try:
            return reader(cell)
        except ValueError as error:
            return self._refuse(row, name, str(error), value=cell[:80])

    def _choice(self, row: Row, name: str, choices: Sequence[str]) -> str:
        cell = csvfile.said(name, row.cells.get(name, ""))
        found = self._checked(row, name, cell, lambda text: domain.read_choice(text, choices)) if cell else ""
        return str(found)

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
        cell, currency = row.cells.get("balance", ""), self.company.currency
        if not cell:
            return None
        try:
            marks = self.habits.marks.get("balance", frozenset())
            return money.parse_money(cell, currency, self.locale, allow_negative=True, decimal_marks=marks) or None
        except money.NotAnAmount as error:
            refused: Refused = money.refusal(error, cell, currency, self.locale)
            self._refuse(row, "balance", refused.code, **refused.values)
            return None

    def _claim(self, row: Row, planned: Planned, present: Any) -> None:
        """Note what nobody else may have; another row of the file must not have it."""
        values = planned.values
        further = values.get("networks", present["networks"] if present else ())
        address6 = values.get("address6", present["address6"] if present else None)
        has = {"address": values["address"], "address6": address6, "username": values["username"]}
        for name, other in self.holders.claim(row.line, values["router_id"], values["connection"], has, further):
            code = next(code for code, line in self.codes.items() if line == other)
            self._refuse(row, name, f"{name}_twice", value=has[name], code=code, line=other)

    def _sort_out(self, planned: Planned, present: Any, has_account: bool) -> None:
        """Count the row as new, changed or unchanged."""
        if planned.client_id is None:
            self.review.added.append(planned)
            return
        if planned.state and planned.state != ("suspended" if present["suspended"] else "active"):
            self._ignore(planned, "state", planned.state)
        elif planned.balance and has_account:
            self._ignore(planned, "balance", "")
        planned.state = ""
        planned.balance = None if has_account else planned.balance
        if planned.values or planned.balance:
            self.review.changed.append(planned)
            self.review.passwords += "password" in planned.values
        else:
            self.review.unchanged += 1

    def _ignore(self, planned: Planned, column: str, value: str) -> None:
        self.review.ignored += 1
        self.review.note(Problem(planned.line, column, f"{column}_ignored", {"code": planned.code, "value": value}))

    def _refuse(self, row: Row, column: str, reason: str, **values: Any) -> str:
        self.review.refuse(Problem(row.line, column, reason, values))
        return ""


def _present(codes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The clients of these codes, by code, with their networks and whether they are suspended."""
    access = Base.metadata.tables["access"]
    columns = [getattr(Client, name) for name in COLUMNS]
    query = sa.select(
        Client.id, Client.code, Client.cancelled_at, Client.own_billing, Client.schedule_id, *columns,
        sa.func.coalesce(access.c.suspended, False).label("suspended"),
    ).outerjoin(access, access.c.client_id == Client.id)  # fmt: skip
    found: dict[str, dict[str, Any]] = {}
    wanted = list(dict.fromkeys(code for code in codes if code))
    for row in session().execute(query.where(Client.code.in_(wanted))).mappings():
        found[row["code"]] = dict(row)
    further = networks.of([row["id"] for row in found.values()])
    return {code: {**row, "networks": further.get(row["id"], ())} for code, row in found.items()}


def _with_noughts(codes: Sequence[str]) -> dict[str, str]:
    """Those of the codes, of clients that there are not, that would be there with noughts before them: a spreadsheet
    has taken these off. By code: what it was."""
    numbers = [code for code in codes if code.isdigit() and code.isascii() and code[0] != "0" and len(code) < 10]
    meant = {code.zfill(width): code for code in numbers for width in range(len(code) + 1, 11)}
    found: dict[str, str] = {}
    for part in chunks(meant):
        found |= {meant[code]: code for code in session().scalars(sa.select(Client.code).where(Client.code.in_(part)))}
    return found


def _lost_noughts(cell: str, present: Mapping[str, Any], name: str) -> bool:
    """True where a number is what was there without its first noughts."""
    if not (cell.isascii() and cell.isdigit()) or cell[0] == "0":
        return False
    try:
        before = crypto.decrypt(present[name]) if name == "password" else present[name]
    except crypto.SecretUnreadable:
        return False
    return bool(before != cell and before.isdigit() and before.lstrip("0") == cell)


def _with_account(client_ids: Sequence[int]) -> set[int]:
    """Those of the clients that have an invoice or a payment. Both are of a higher slice: asked by table name."""
    found: set[int] = set()
    for name in ("invoice", "payment") if client_ids else ():
        table = Base.metadata.tables[name]
        query = sa.select(table.c.client_id).where(table.c.client_id.in_(client_ids)).distinct()
        found.update(session().scalars(query))
    return found


def _same(present: Mapping[str, Any], name: str, value: Any) -> bool:
    if name == "password":
        return crypto.is_same(present["password"], value)
    return bool(present[name] == value)


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """``items`` in parts that one statement takes."""
    iterator = iter(items)
    while part := list(islice(iterator, CHUNK)):
        yield part
