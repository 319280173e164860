"""What a menu is: its properties, what must be unique in it, and what may be done to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wisp.demo.routeros.router import Router
    from wisp.demo.routeros.table import Table

Row = dict[str, str]
Normalise = Callable[[str, str, "Router"], str]
"""(value, name of the property, router) -> the form that the router prints. Raises Trap."""


class Trap(Exception):
    """An error that the router answers. Most have no category."""

    def __init__(self, text: str, category: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.category = category


def as_typed(value: str, name: str, router: Router) -> str:
    """Any text, kept as it is."""
    return value


@dataclass(frozen=True)
class Prop:
    """A property. Without a default it is absent until set, and setting it empty takes it away again."""

    normalise: Normalise = as_typed
    default: str | None = None
    required: bool = False
    readonly: bool = False


RO = Prop(readonly=True)


def read_only(names: str) -> dict[str, Prop]:
    """Properties that only the router writes."""
    return dict.fromkeys(names.split(), RO)


@dataclass(frozen=True)
class Unique:
    """No two rows (no two enabled rows) may have the same values in these properties."""

    fields: tuple[str, ...]
    text: str
    enabled_only: bool = False


READ = frozenset({"print", "getall", "get", "find"})
WRITE = frozenset({"add", "set", "remove", "enable", "disable", "comment", "unset"})
ORDER = frozenset({"move"})


@dataclass(frozen=True)
class Menu:
    """A menu of the router. Hooks take (router, table, id, row)."""

    path: str
    props: Mapping[str, Prop]
    uniques: tuple[Unique, ...] = ()
    verbs: frozenset[str] = READ | WRITE
    single: bool = False
    named: bool = False
    """Rows may be addressed by `name` in place of their id."""
    first_id: int = 1
    not_found: str = "no such item"
    initial: tuple[Row, ...] = ()
    check: Callable[[Router, Table, str | None, Row], None] | None = None
    """Refuses a row that is about to be stored; None for the id of a new one."""
    guard: Callable[[Row, Row], None] | None = None
    """(row, changes): refuses a change or, with no changes, a removal."""
    added: Callable[[Router, Table, str, Row], None] | None = None
    changed: Callable[[Router, Table, str, Row], None] | None = None
    removing: Callable[[Router, Table, str, Row], None] | None = None
    """Refuses a removal that depends on other menus."""
    removed: Callable[[Router, Table, str, Row], None] | None = None
    never_printed: frozenset[str] = frozenset()
    verbs_of_its_own: Mapping[str, Callable[[Router, Table, str], None]] = field(default_factory=dict)
