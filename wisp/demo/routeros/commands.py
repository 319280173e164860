"""The verbs: print, add, set, remove and their kin, the same for every menu."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wisp.demo.routeros.query import compile_query
from wisp.demo.routeros.reply import Request, Result
from wisp.demo.routeros.spec import Row, Trap
from wisp.demo.routeros.table import Table

if TYPE_CHECKING:
    from wisp.demo.routeros.router import Router

_PRINT_WORDS = {".proplist", "count-only", "detail", "stats", "without-paging", "terse", "brief", "value-list"}
_READING = {"print", "getall", "get", "find"}


def execute(router: Router, table: Table, verb: str, request: Request) -> Result:
    """Carry out one command on a menu. Raises Trap."""
    menu = table.menu
    own = menu.verbs_of_its_own.get(verb)
    if own is None and verb not in menu.verbs:
        raise Trap("no such command")
    if verb not in _READING and router.switches.no_permission:
        raise Trap("not enough permissions (9)")
    if own is not None:
        return _each(router, table, request, lambda row_id, _: own(router, table, row_id))
    return _VERBS[verb](router, table, request)


def _print(router: Router, table: Table, request: Request) -> Result:
    for name in request.attributes:
        if name not in _PRINT_WORDS:
            raise Trap(f"unknown parameter {name}")
    names = request.attributes[".proplist"].split(",") if ".proplist" in request.attributes else None
    wanted = None if names is None or request.queries else names
    rows: list[Row] = [table.view(row_id, wanted) for row_id in table.rows]
    if request.queries:
        condition = compile_query(request.queries)
        rows = [row for row in rows if condition(row)]
    if table.menu.single:
        for row in rows:
            row.pop(".id", None)
    if "count-only" in request.attributes:
        return Result(ret=str(len(rows)))
    if names is not None and wanted is None:
        rows = [{name: row[name] for name in names if name in row} for row in rows]
    return Result(rows=rows, empty=not rows and router.release >= (7, 18))


def _get(router: Router, table: Table, request: Request) -> Result:
    row_id = "*0" if table.menu.single else table.resolve(_selection(request)[0])
    row = table.view(row_id)
    name = request.attributes.get("value-name")
    if name is not None:
        return Result(ret=row.get(name, ""))
    return Result(ret=";".join(f"{key}={value}" for key, value in row.items()))


def _find(router: Router, table: Table, request: Request) -> Result:
    return Result(ret=";".join(table.rows))


def _add(router: Router, table: Table, request: Request) -> Result:
    if router.switches.full:
        raise Trap("failure: out of memory")
    values = dict(request.attributes)
    values.pop(".id", None)
    place = values.pop("place-before", None) if "move" in table.menu.verbs else None
    before = table.resolve(place) if place else None
    row_id = table.add(values)
    if before is not None:
        table.move([row_id], before)
    return Result(ret=row_id)


def _set(router: Router, table: Table, request: Request) -> Result:
    values = {name: value for name, value in request.attributes.items() if name not in (".id", "numbers")}
    if table.menu.single:
        table.set("*0", values)
        return Result()
    return _each(router, table, request, lambda row_id, _: table.set(row_id, dict(values)))


def _unset(router: Router, table: Table, request: Request) -> Result:
    name = request.attributes.get("value-name", "")
    return _each(router, table, request, lambda row_id, _: table.set(row_id, {name: ""}))


def _comment(router: Router, table: Table, request: Request) -> Result:
    text = request.attributes.get("comment", "")
    return _each(router, table, request, lambda row_id, _: table.set(row_id, {"comment": text}))


def _disabled(value: str) -> Callable[[Router, Table, Request], Result]:
    def verb(router: Router, table: Table, request: Request) -> Result:
        return _each(router, table, request, lambda row_id, _: table.set(row_id, {"disabled": value}))

    return verb


def _remove(router: Router, table: Table, request: Request) -> Result:
    return _each(router, table, request, lambda row_id, _: table.remove(row_id))


def _move(router: Router, table: Table, request: Request) -> Result:
    destination = request.attributes.get("destination")
    if destination is not None and not destination.startswith("*"):
        destination = table.resolve(destination)
    table.move([table.resolve(item) for item in _selection(request)], destination)
    return Result()


def _each(router: Router, table: Table, request: Request, act: Callable[[str, str], None]) -> Result:
    """Do it to each selected row, in order; a missing one stops there (or, atomic, before the first)."""
    if ".id" not in request.attributes and "numbers" not in request.attributes and router.release < (7,):
        return Result()  # version 6 does nothing and says nothing
    selection = _selection(request)
    if router.atomic_batches:
        for item in selection:
            table.resolve(item)
    for item in selection:
        act(table.resolve(item), item)
    return Result(empty=router.empty_all and router.release >= (7, 18))


def _selection(request: Request) -> list[str]:
    text = request.attributes.get(".id") or request.attributes.get("numbers")
    if not text:
        raise Trap("missing =.id=")
    return text.split(",")


_VERBS: dict[str, Callable[[Router, Table, Request], Result]] = {
    "print": _print,
    "getall": _print,
    "get": _get,
    "find": _find,
    "add": _add,
    "set": _set,
    "unset": _unset,
    "comment": _comment,
    "enable": _disabled("no"),
    "disable": _disabled("yes"),
    "remove": _remove,
    "move": _move,
}
