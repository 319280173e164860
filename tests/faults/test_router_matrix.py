"""Each fault of a router, while a client is cut and while it comes back, for one held by an entry and for one held by
its own row: afterwards the router, the database and the page say the same, or the page says that it waits."""

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape

from tests.support.access import CUT, LISTS, NOTICE, Site
from tests.support.levers import (
    ACTIVE,
    KINDS,
    LEASE,
    MAC,
    PROFILE,
    SECRET,
    USER,
    left_behind,
    listed,
    mode,
    own_rows,
    remembered,
)
from tests.support.processes import until
from tests.support.staff import signed_in
from wisp.access import conversation, texts
from wisp.clients import texts as client_texts
from wisp.demo.routeros import Router as SimulatedRouter
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import Connection, Target
from wisp.routers import service as routers
from wisp.routers.models import Router

WAYS = {"list": "static", "profile": "pppoe", "disable": "pppoe", "hotspot": "hotspot", "lease": "dhcp"}
MENUS = {"list": LISTS, "profile": SECRET, "disable": SECRET, "hotspot": USER, "lease": LEASE}


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(SimulatedRouter(dial_in=0.0)) as running:
        yield running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for answers."""

    def target(router: Router) -> Target:
        return replace(original(router), reply_timeout=0.3, connect_timeout=1.0)

    original = routers.target
    monkeypatch.setattr(routers, "target", target)


@pytest.fixture
def browser(ctx: Flask) -> FlaskClient:
    return signed_in(ctx)


def make(server: SimulatorServer, way: str) -> Site:
    site = KINDS[WAYS[way]][0](server)
    mode(site, "disable" if way == "disable" else "profile")
    return site


def is_cut(server: SimulatorServer, way: str) -> bool:
    """What the client meets on the router: its row or its entry, and no session that began otherwise."""
    if way == "list":
        return any(name == CUT and address == "10.0.0.5" for name, address, _comment in listed(server))
    if way == "lease":
        return any(CUT in row.get("address-lists", "").split(",") for row in server.router.snapshot(LEASE))
    if way == "profile":
        (row,) = server.router.snapshot(SECRET)
        sessions = len(server.router.snapshot(ACTIVE))
        assert row["profile"] in ("oro", f"{CUT}:oro")
        made = [name for name, _address, comment in listed(server) if comment == "router"]
        assert made.count(CUT) in (0, sessions)
        return row["profile"] != "oro" and CUT in made
    return all(row.get("disabled") == "true" for row in server.router.snapshot(MENUS[way]))


def cut_rows(server: SimulatorServer, way: str) -> list[bool]:
    """Of each row or entry of the client, whether it holds it."""
    field, held = {
        "list": ("list", CUT), "profile": ("profile", f"{CUT}:oro"), "lease": ("address-lists", CUT),
    }.get(way, ("disabled", "true"))  # fmt: skip
    return [row.get(field) == held for row in server.router.snapshot(MENUS[way])]


def shown(browser: FlaskClient, site: Site) -> str:
    """The client's state as its page says it, and the reason that it gives."""
    page = browser.get(f"/clientes/{site.client(site.clients[0]).code}/").text
    said = re.search(r'class="wisp-state[^>]*>.*?<span>([^<]+)<', page[page.index("page-header") :], re.DOTALL)
    assert said is not None
    found = [name for name, text in client_texts.STATES.items() if said[1].startswith(str(text))]
    assert len(found) == 1, (found, said[1])
    error = site.access(site.clients[0]).error
    assert escape(texts.explain(error)) in page
    return found[0]


def compare(site: Site, browser: FlaskClient, way: str, wanted: bool) -> bool:
    """The three of them; whether everything is as wanted."""
    actual, row = is_cut(site.server, way), site.access(site.clients[0])
    done = row.wanted_version == row.applied_version
    if done:
        assert (actual, row.applied_suspended) == (wanted, wanted)
    state = {(True, True): "suspended", (True, False): "cutting", (False, True): "reactivating"}
    assert shown(browser, site) == state.get((wanted, row.applied_suspended), "active")
    if not done:
        assert row.applied_suspended != wanted
        assert site.state().next_attempt_at is not None
    assert site.state().lease_until is None
    return done


def settled(site: Site, browser: FlaskClient, way: str, wanted: bool) -> None:
    """Nothing is wrong any more."""
    site.order()
    assert site.sync().reached
    assert compare(site, browser, way, wanted)
    assert (site.unsettled(), left_behind(), site.state().error) == (0, [], "")
    assert bool(remembered(site)[0]) == (wanted and way != "list")


def booting(server: SimulatorServer, patch: pytest.MonkeyPatch) -> None:
    """The router reboots once, between reading and writing."""
    compared = conversation.Conversation.compare
    looks: list[int] = []

    def compare(self: conversation.Conversation, connection: Connection) -> object:
        found = compared(self, connection)
        looks.append(1)
        if len(looks) == 1:
            server.reboot(0)
            until(lambda: connection_works(server))
        return found

    patch.setattr(conversation.Conversation, "compare", compare)


def connection_works(server: SimulatorServer) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((server.host, server.port)) == 0


Fault = Callable[[SimulatorServer, str, pytest.MonkeyPatch], None]


def switch(**values: object) -> Fault:
    return lambda server, _menu, _patch: server.switch(**values)


def breaks(action: str, verbs: tuple[str, ...] = ("set", "add", "remove", "make-static")) -> Fault:
    """Every change of the menu meets it, as long as the fault lasts."""

    def begin(server: SimulatorServer, menu: str, _patch: pytest.MonkeyPatch) -> None:
        for verb in verbs:
            server.fault(action, f"{menu}/{verb}", count=None)  # type: ignore[arg-type]

    return begin


FAULTS: dict[str, Fault] = {
    "off": switch(off=True),
    "refusing": switch(refuse=True),
    "silent": switch(silent=True),
    "slow": switch(slow=1000),
    "dripping": switch(drip=40),
    "wrong password": switch(wrong_password=True),
    "no permission": switch(no_permission=True),
    "full": switch(full=True),
    "refused": breaks("trap"),
    "mid-sentence": breaks("half_sentence"),
    "before the command": breaks("drop_before"),
    "before the answer": breaks("drop_after"),
    "rebooting": lambda server, _menu, patch: booting(server, patch),
}
EVERYWHERE = [("list", fault) for fault in FAULTS] + [("profile", fault) for fault in FAULTS]
OTHERS = ["no permission", "refused", "before the answer"]


@pytest.mark.parametrize(
    ("way", "fault"), EVERYWHERE + [(way, fault) for way in ("disable", "hotspot", "lease") for fault in OTHERS]
)
def test_a_fault_while_cutting_and_while_lifting(
    server: SimulatorServer, browser: FlaskClient, way: str, fault: str
) -> None:
    site = make(server, way)
    before = own_rows(server)
    finished = []
    for wanted in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            FAULTS[fault](server, MENUS[way], patch)
            (site.cut if wanted else site.lift)()
            site.sync()
            finished.append(compare(site, browser, way, wanted))
        server.normal()
        settled(site, browser, way, wanted)
    assert (own_rows(server), listed(server)) == (before, [])
    if fault not in ("full", "before the answer", "mid-sentence", "rebooting"):
        assert finished == [False, False]
    site.close()


@pytest.mark.parametrize("way", ["list", "profile"])
def test_who_pays_while_nobody_knows_whether_the_cut_arrived_is_not_called_active(
    server: SimulatorServer, browser: FlaskClient, way: str
) -> None:
    """The router did it, and went away before it could say so."""
    site = make(server, way)
    server.fault("drop_after", f"{MENUS[way]}/{'add' if way == 'list' else 'set'}")
    server.fault("drop_before", f"{LISTS}/print", after=1, count=None)
    site.cut()
    before = own_rows(server), listed(server)
    assert not site.sync().reached
    assert (own_rows(server), listed(server)) != before
    assert shown(browser, site) == "cutting"
    site.lift()
    assert shown(browser, site) == "reactivating"
    server.normal()
    settled(site, browser, way, False)
    assert shown(browser, site) == "active"
    site.close()


def entry(site: Site, comment: str = "", **values: str) -> dict[str, str]:
    """An entry of ours for the only client, or another's."""
    code = site.client(site.clients[0]).code
    return {"list": CUT, "address": "10.0.0.5", "comment": comment or f"wisp:{code}", **values}


def there(server: SimulatorServer, site: Site, way: str) -> None:
    """A worker that was killed, and whose records are lost, has done it."""
    if way == "list":
        site.load(entry(site))
    elif way == "profile":
        oro = next(row for row in server.router.snapshot(PROFILE) if row["name"] == "oro")
        del oro[".id"]
        server.router.load(PROFILE, [{**oro, "name": f"{CUT}:oro", "address-list": CUT, "comment": "wisp:profile"}])
        server.router.table(SECRET).set("*1", {"profile": f"{CUT}:oro"})


def twice(server: SimulatorServer, site: Site, way: str) -> None:
    """More of ours than there should be; for rows, a second one of the same client."""
    if way == "list":
        site.load(
            entry(site, disabled="true"), entry(site), entry(site, address="10.0.0.6"), entry(site, list=NOTICE),
            entry(site, "wisp:NADIE", address="10.0.0.7"),
        )  # fmt: skip
    elif way == "lease":
        server.router.load(LEASE, [{"address": "10.7.0.6", "mac-address": MAC, "server": "d2", "status": "bound"}])
    elif way == "hotspot":
        server.router.load(USER, [{"name": "ana", "server": "hs2"}])


@pytest.mark.parametrize(
    ("way", "present"),
    [("list", there), ("profile", there), ("list", twice), ("hotspot", twice), ("lease", twice)],
)
def test_what_is_there_already_is_neither_doubled_nor_left(
    server: SimulatorServer,
    browser: FlaskClient,
    way: str,
    present: Callable[[SimulatorServer, Site, str], None],
) -> None:
    site = make(server, way)
    if present is twice:
        twice(server, site, way)
    rows = own_rows(server)
    if present is there:
        there(server, site, way)
    site.cut()
    site.sync()
    assert all(cut_rows(server, way))
    settled(site, browser, way, True)
    if way == "list":
        assert [row[1:] for row in listed(server)] == [("10.0.0.5", entry(site)["comment"])]
    site.lift()
    site.sync()
    assert not any(cut_rows(server, way))
    settled(site, browser, way, False)
    assert (own_rows(server), listed(server)) == (rows, [])
    site.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("again", [False, True], ids=["gone", "made anew"])
def test_what_is_gone_already_is_no_error(server: SimulatorServer, browser: FlaskClient, way: str, again: bool) -> None:
    """Somebody removes the entry or the row by hand while the client is cut, and perhaps makes the row anew."""
    site = make(server, way)
    fresh = server.router.snapshot(MENUS[way])
    site.cut()
    site.sync()
    with server.router.lock:
        for row in server.router.snapshot(MENUS[way]):
            if row.get("dynamic") != "true":
                server.router.table(MENUS[way]).remove(row[".id"])
    if again and way != "list":
        server.router.load(MENUS[way], [{k: v for k, v in row.items() if k != ".id"} for row in fresh])
    site.lift()
    assert site.sync().reached
    found = site.access(site.clients[0])
    assert (found.applied_suspended, found.error, shown(browser, site)) == (False, "", "active")
    assert (site.unsettled(), remembered(site), any(cut_rows(server, way))) == (0, ("", "", ""), False)
    assert [name for name, *_ in listed(server)].count(CUT) == 0
    site.close()


@pytest.mark.parametrize("way", ["list", "profile", "lease"])
def test_a_foreign_entry_with_the_same_address_stays_and_is_said(
    server: SimulatorServer, browser: FlaskClient, way: str
) -> None:
    site = make(server, way)
    address = {"list": "10.0.0.5", "profile": "10.9.0.2", "lease": "10.7.0.5"}[way]
    theirs = (CUT, address, "de otro")
    site.load(entry(site, "de otro", address=address))
    site.cut()
    site.sync()
    settled(site, browser, way, True)
    assert theirs in listed(server)
    assert site.access(site.clients[0]).foreign == (way == "list")
    site.lift()
    site.sync()
    assert theirs in listed(server)
    if way == "list":
        assert shown(browser, site) == "reactivating"
        assert site.access(site.clients[0]).error == f"foreign: {CUT}"
    server.router.clear(LISTS)
    settled(site, browser, way, False)
    site.close()
