"""What a bulk action is: one object with label, form, permission, preview, apply, undo. The next one is a small file.

An action says which targets it would change (``targets``), how one stands (``look``), how it should stand (``wanted``)
and how that is written (``write``). Preview, apply and undo follow from these, and so do page, history and progress.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from flask_wtf import FlaskForm

from wisp.bulk.models import BulkChange
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.core.permissions import Permission
from wisp.core.scope import Scope

Values = dict[str, Any]
"""What was chosen in the form, or how a target stands: plain JSON values."""


@dataclass(frozen=True)
class Found:
    """One target as it stands. ``subject`` names its part where the owner has several (the kind of a task)."""

    target: int
    zone_id: int
    client_id: int | None
    value: Values
    thing: Any
    subject: str = ""


@dataclass(frozen=True)
class Change:
    """One target that changes, or would."""

    found: Found
    after: Values
    failed: bool = False


@dataclass(frozen=True)
class Reach:
    """How much would change: single changes, and the zones and clients that they concern."""

    changes: int
    zones: int
    clients: int


@dataclass(frozen=True)
class Trail:
    """The audit entries that tell of a value: their action, their target, and the value's name in them."""

    action: str
    target: str
    name: str


class BulkAction(ABC):
    """One bulk action."""

    key: str
    label: Any
    text: Any
    icon: str
    permission: Permission
    form: type[FlaskForm]

    # What an action says of itself

    @abstractmethod
    def fill(self, form: Any, scope: Scope) -> None:
        """Give the form's fields what can be chosen."""

    @abstractmethod
    def values(self, form: Any) -> Values:
        """What was chosen in a valid form."""

    @abstractmethod
    def about(self, values: Values) -> str:
        """What was chosen, in words."""

    @abstractmethod
    def targets(self, values: Values, scope: Scope) -> "sa.Select[int]":
        """The ids of what would change, and of nothing else."""

    @abstractmethod
    def reach(self, values: Values, scope: Scope) -> Reach:
        """How much would change."""

    @abstractmethod
    def look(self, ids: Collection[int], lock: bool = False) -> list[Found]:
        """These targets as they stand, without those that are gone; ``lock`` holds them until the end."""

    @abstractmethod
    def wanted(self, values: Values, found: Found) -> Values:
        """How a target should stand."""

    @abstractmethod
    def write(self, found: Found, value: Values) -> None:
        """Let a target stand so. Refused where that cannot be."""

    @abstractmethod
    def words(self, value: Values) -> str:
        """How a target stands, in words."""

    @abstractmethod
    def trail(self, found: Found) -> Trail:
        """Where every change of the value is written down, whoever makes it."""

    def subject(self, name: str) -> str:
        """The part of the owner that a target is, in words."""
        return name

    # What follows

    def preview(self, values: Values, scope: Scope, limit: int) -> list[Change]:
        """The first ``limit`` changes. Writes nothing."""
        query = self.targets(values, scope)
        ids = session().scalars(query.order_by(query.selected_columns[0]).limit(limit)).all()
        return [Change(found, self.wanted(values, found)) for found in self.look(ids)]

    def apply(self, values: Values, ids: Collection[int]) -> list[Change]:
        """Change these targets; what already stands as wanted is passed over. One that is refused is marked failed."""
        changes = []
        for found in self.look(ids, lock=True):
            change = Change(found, self.wanted(values, found))
            if change.after == found.value:
                continue
            try:
                self.write(found, change.after)
            except Refused:
                change = replace(change, after=found.value, failed=True)
            changes.append(change)
        return changes

    def undo(
        self, changes: Collection[BulkChange], touched: Callable[[Collection[Found]], Collection[int]]
    ) -> dict[int, str]:
        """Put back what stands as this run has left it; target -> "restored", or "kept" where somebody changed it.

        ``touched`` finds the targets that somebody has changed since, also those that were changed back again.
        """
        present = {found.target: found for found in self.look([change.target for change in changes], lock=True)}
        same = [present[c.target] for c in changes if c.target in present and present[c.target].value == c.after]
        free = {found.target for found in same} - set(touched(same))
        outcomes = {}
        for change in changes:
            outcomes[change.target] = "kept"
            if change.target not in free:
                continue
            try:
                self.write(present[change.target], change.before)
            except Refused:
                continue
            outcomes[change.target] = "restored"
        return outcomes


_actions: dict[str, BulkAction] = {}


def add(action: BulkAction) -> None:
    """Register an action; again for a key: replaced."""
    _actions[action.key] = action


def actions() -> list[BulkAction]:
    """All actions, in the order in which they were added."""
    return list(_actions.values())


def get(key: str) -> BulkAction:
    """The action of that key. Refused("bulk.unknown")."""
    if key not in _actions:
        raise Refused("bulk.unknown", action=key)
    return _actions[key]
