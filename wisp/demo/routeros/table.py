"""The rows of one menu: ids, order, uniqueness, rows that run out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from wisp.demo.routeros.spec import Menu, Row, Trap
from wisp.demo.routeros.values import printed_time
from wisp.gateway.properties import writable

if TYPE_CHECKING:
    from wisp.demo.routeros.router import Router

Key = tuple[str, ...]
_BUILT_IN = 0xFFFFFF00
"""Ids from here on belong to rows that every router has; new rows do not count on from them."""


class Table:
    """Rows by id in their order. Uniqueness is looked up, never searched: thousands of adds stay fast."""

    def __init__(self, menu: Menu, router: Router) -> None:
        self.menu = menu
        self.rows: dict[str, Row] = {}
        self.expires: dict[str, float] = {}
        self._router = router
        self._next = menu.first_id
        self._keys: list[dict[Key, str]] = [{} for _ in menu.uniques]

    # Reading

    def view(self, row_id: str, names: Sequence[str] | None = None) -> Row:
        """The row as printed, with its id and, for one that runs out, what is left of it; only the properties in
        ``names`` where given."""
        hidden = self.menu.never_printed
        stored = self.rows[row_id]
        if names is not None and row_id not in self.expires:  # the short way for thousands of rows
            return {
                name: row_id if name == ".id" else stored[name]
                for name in names
                if name == ".id" or (name in stored and name not in hidden)
            }
        row = {".id": row_id} | stored
        if row_id in self.expires:
            row["timeout"] = printed_time(max(0, round(self.expires[row_id] - monotonic())))
        return {name: row[name] for name in (row if names is None else names) if name in row and name not in hidden}

    def has_name(self, name: str) -> bool:
        """Whether a row has that name."""
        return any(row.get("name") == name for row in self.rows.values())

    def resolve(self, item: str) -> str:
        """One id. Raises Trap where it is not there."""
        row_id = item.upper()
        if row_id in self.rows:
            return row_id
        if self.menu.named and not item.startswith("*"):
            for found, row in self.rows.items():
                if row.get("name") == item:
                    return found
        raise Trap(self._router.not_found(self.menu))

    # Changing

    def add(self, values: Row, *, loading: bool = False) -> str:
        """A new row at the end; its id. `loading` also takes what only the router itself may write."""
        row = {name: prop.default for name, prop in self.menu.props.items() if prop.default is not None}
        wanted = values.pop(".id", None)
        self._apply(row, values, loading=loading)
        for name, prop in self.menu.props.items():
            if prop.required and name not in row:
                raise Trap(f"missing value(s) of argument(s) {name}")
        if self.menu.check:
            self.menu.check(self._router, self, None, row)
        self._refuse_twin(row, None)
        row_id = wanted.upper() if wanted else f"*{self._next:X}"
        if row_id in self.rows:
            raise ValueError(f"{self.menu.path} has a row {row_id} already")
        if (number := int(row_id[1:], 16)) < _BUILT_IN:
            self._next = max(self._next, number + 1)
        self._store(row_id, row)
        if self.menu.added:
            self.menu.added(self._router, self, row_id, row)
        return row_id

    def set(self, row_id: str, values: Row, *, loading: bool = False) -> None:
        """Change properties of a row."""
        old = self.rows[row_id]
        if self.menu.guard and not loading:
            self.menu.guard(old, values)
        row = dict(old)
        self._apply(row, values, loading=loading)
        if self.menu.check:
            self.menu.check(self._router, self, row_id, row)
        self._refuse_twin(row, row_id)
        self._forget(row_id, old)
        self._store(row_id, row)
        if self.menu.changed:
            self.menu.changed(self._router, self, row_id, row)

    def remove(self, row_id: str, *, forced: bool = False) -> None:
        """Take a row away."""
        row = self.rows[row_id]
        if self.menu.guard and not forced:
            self.menu.guard(row, {})
        if self.menu.removing and not forced:
            self.menu.removing(self._router, self, row_id, row)
        self._forget(row_id, row)
        del self.rows[row_id]
        self.expires.pop(row_id, None)
        if self.menu.removed:
            self.menu.removed(self._router, self, row_id, row)

    def clear(self) -> None:
        """Take all rows away, without any consequences elsewhere."""
        self.rows.clear()
        self.expires.clear()
        for keys in self._keys:
            keys.clear()

    def move(self, row_ids: Iterable[str], destination: str | None) -> None:
        """Put rows before another one, or at the end."""
        moved = list(row_ids)
        if destination in moved:
            raise Trap("failure: can not move object before itself")
        rest = [row_id for row_id in self.rows if row_id not in set(moved)]
        at = rest.index(destination) if destination in self.rows and destination else len(rest)
        self.rows = {row_id: self.rows[row_id] for row_id in rest[:at] + moved + rest[at:]}

    def run_out(self) -> None:
        """Remove the rows whose time is over."""
        if self.expires:
            now = monotonic()
            for row_id in [row_id for row_id, at in self.expires.items() if at <= now]:
                self.remove(row_id, forced=True)

    # Inside

    def _apply(self, row: Row, values: Row, *, loading: bool) -> None:
        props = self.menu.props
        known = None if loading else writable(self.menu.path, self._router.release)
        for name, value in values.items():
            prop = props.get(name)
            if prop is None or (prop.readonly and not loading) or (known is not None and name not in known):
                raise Trap(f"unknown parameter {name}")
            if value:
                row[name] = prop.normalise(value, name, self._router)
            elif prop.default:
                row[name] = prop.default
            elif prop.default is None:
                row.pop(name, None)
            else:
                row[name] = ""

    def _refuse_twin(self, row: Row, row_id: str | None) -> None:
        for unique, keys in zip(self.menu.uniques, self._keys, strict=True):
            if unique.enabled_only and row.get("disabled") == "true":
                continue
            key = tuple(row.get(name, "") for name in unique.fields)
            if keys.get(key, row_id) != row_id:
                raise Trap(unique.text)

    def _store(self, row_id: str, row: Row) -> None:
        self.rows[row_id] = row
        for unique, keys in zip(self.menu.uniques, self._keys, strict=True):
            if not (unique.enabled_only and row.get("disabled") == "true"):
                keys[tuple(row.get(name, "") for name in unique.fields)] = row_id

    def _forget(self, row_id: str, row: Row) -> None:
        for unique, keys in zip(self.menu.uniques, self._keys, strict=True):
            key = tuple(row.get(name, "") for name in unique.fields)
            if keys.get(key) == row_id:
                del keys[key]
