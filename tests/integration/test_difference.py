"""The difference between a router and what is wanted: groups, repair, adoption, counts; the log of what was said."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from tests.support.access import CUT, NOTICE, Site
from tests.support.staff import signed_in, token_of
from wisp.access import differences, transcripts
from wisp.access.conversation import Plan
from wisp.access.domain import Lists, difference
from wisp.access.jobs import reconcile
from wisp.access.models import RouterDifference, RouterTalk
from wisp.core import clock, queue
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import Entry
from wisp.gateway.listening import readable


@pytest.fixture
def site(ctx: Flask) -> Iterator[Site]:
    with SimulatorServer() as server:
        made = Site(server, clients=5)
        yield made
        made.close()


@pytest.fixture
def mixed(site: Site) -> Site:
    """One of each: missing, disabled, free, old address, cancelled, foreign with and without a client."""
    first, second, third, fourth, _fifth = (site.client(i) for i in site.clients)
    site.cut([first.id, second.id, third.id])
    queue.connection().flushdb()
    site.load(
        {"list": CUT, "address": second.address or "", "comment": f"wisp:{second.code}", "disabled": "true"},
        {"list": CUT, "address": third.address or "", "comment": f"wisp:{third.code}"},
        {"list": CUT, "address": "10.77.0.1", "comment": f"wisp:{third.code}"},
        {"list": CUT, "address": fourth.address or "", "comment": f"wisp:{fourth.code}"},
        {"list": NOTICE, "address": "10.77.0.2", "comment": "wisp:NADIE"},
        {"list": CUT, "address": "10.77.0.3", "comment": "de otro"},
        {"list": CUT, "address": first.address or "", "comment": "Moroso ñ"},
    )
    return site


def shown(lines: list[differences.Line]) -> list[tuple[str, str]]:
    return sorted((line.address, line.why) for line in lines)


def test_each_entry_is_in_its_group_and_nothing_is_changed(mixed: Site) -> None:
    _first, second, _third, fourth, _fifth = (mixed.client(i) for i in mixed.clients)
    before = mixed.entries()
    found = differences.look(mixed.router_id)
    assert shown(found.missing) == [(second.address, "disabled")]
    assert shown(found.extra) == [(fourth.address, "free")]
    assert shown(found.stale) == sorted([("10.77.0.1", "address"), ("10.77.0.2", "gone")])
    first = mixed.client(mixed.clients[0])
    assert [(line.address, line.code) for line in found.foreign] == [("10.77.0.3", ""), (first.address, first.code)]
    assert mixed.entries() == before
    mixed.order()
    mixed.sync()
    after = differences.look(mixed.router_id)
    assert after.empty
    assert len(after.foreign) == 2
    foreign = [row for row in before if not row["comment"].startswith("wisp:")]
    assert [row for row in mixed.entries() if not row["comment"].startswith("wisp:")] == foreign


def test_adopting_one_entry_makes_it_ours_and_only_it(mixed: Site) -> None:
    first = mixed.client(mixed.clients[0])
    line = next(line for line in differences.look(mixed.router_id).foreign if line.code)
    wish = differences.adoption(mixed.router_id, line.id, line.list, line.address)
    session().rollback()
    before = {row[".id"]: row for row in mixed.entries()}
    assert differences.adopt(wish) == "Moroso ñ"
    after = {row[".id"]: row for row in mixed.entries()}
    assert after[line.id]["comment"] == f"wisp:{first.code}"
    assert {key: row for key, row in after.items() if key != line.id} == {
        key: row for key, row in before.items() if key != line.id
    }
    with pytest.raises(Refused):
        differences.adopt(wish)  # it is ours by now
    with pytest.raises(Refused):
        differences.adoption(mixed.router_id, line.id, CUT, "10.77.0.3")
    mixed.order()
    assert mixed.sync().outcomes[first.id].foreign is False


def test_an_entry_that_is_another_by_now_is_not_adopted(mixed: Site) -> None:
    line = next(line for line in differences.look(mixed.router_id).foreign if line.code)
    wish = differences.adoption(mixed.router_id, line.id, line.list, line.address)
    mixed.server.router.table("/ip/firewall/address-list").set(line.id, {"list": "otra"})
    before = mixed.entries()
    with pytest.raises(Refused):
        differences.adopt(wish)
    assert mixed.entries() == before


def test_every_night_is_counted_and_then_put_right(mixed: Site) -> None:
    reconcile()
    queue.drain()
    session().rollback()
    row = differences.history(mixed.router_id)[0]
    assert (row.missing, row.extra, row.stale, row.foreign, row.error) == (1, 1, 2, 2, "")
    assert differences.look(mixed.router_id).empty
    mixed.server.switch(off=True)
    with clock.frozen(clock.now() + timedelta(days=1)):
        reconcile()
        queue.drain()
        session().rollback()
        assert [row.error for row in differences.history(mixed.router_id)] == ["refused", ""]
    with clock.frozen(clock.now() + timedelta(days=600)), transaction():
        differences.record(mixed.router_id, None, "refused")
    assert session().scalar(sa.select(sa.func.count()).select_from(RouterDifference)) == 1


ENTRY = st.builds(
    Entry,
    id=st.uuids().map(str),
    list=st.sampled_from([CUT, NOTICE, "otra"]),
    address=st.sampled_from([f"10.0.0.{n}" for n in range(6)]),
    comment=st.sampled_from(["", "de otro", "wisp:ANA", "wisp:EVA", "wisp: x", "wisp-rule:x"]),
    disabled=st.booleans(),
    dynamic=st.booleans(),
)


@given(st.lists(ENTRY, max_size=12))
def test_what_is_not_ours_is_only_ever_foreign(entries: list[Entry]) -> None:
    lists = Lists(CUT, NOTICE)
    found = differences.sort(
        differences.Reading(Plan(1, 0, None, lists, []), difference([], entries, lists), entries), {"EVA": "here"}, {}
    )
    ours = {entry.id for entry in entries if not entry.dynamic and entry.comment in ("wisp:ANA", "wisp:EVA")}
    removed = [line.id for line in (*found.extra, *found.stale)]
    assert set(removed) <= ours
    assert not {line.id for line in found.foreign} & ours
    assert all(line.why == "free" for line in found.extra)
    assert all(line.code == "ANA" for line in found.stale)


# The log ---------------------------------------------------------------------------------------------


def test_the_log_shows_what_was_said_without_passwords(site: Site) -> None:
    site.cut()
    site.sync()
    talk = transcripts.last(site.router_id)[0]
    text = "\n".join(words for _direction, words in talk.lines)
    assert "/ip/firewall/address-list/add" in text
    assert "=name=wisp" in text
    assert "secret" not in text
    assert ["<", "!done"] in talk.lines
    for _ in range(transcripts.KEPT + 3):
        site.order()
        site.sync()
    assert session().scalar(sa.select(sa.func.count()).select_from(RouterTalk)) == transcripts.KEPT


@pytest.mark.parametrize("lump", [1, 7, 149, 151, 400, 1000])
def test_of_a_long_conversation_the_middle_is_left_out(lump: int) -> None:
    transcript = transcripts.Transcript()
    said = [[str(number)] for number in range(1000)]
    for at in range(0, len(said), lump):
        transcript.hear(">", said[at : at + lump], list)
    transcript.write_out()
    half = transcripts.LINES // 2
    assert transcript.lines == [[">", str(number)] for number in (*range(half), *range(1000 - half, 1000))]
    assert transcript.left_out == 1000 - transcripts.LINES


@pytest.mark.parametrize("word", ["=password=abc", "=response=00abc", "?password=abc", "=secret=a=b"])
def test_secrets_are_hidden(word: str) -> None:
    assert readable(["/x", word, ".tag=1"])[1].endswith("=•••")
    assert readable(["=name=ana", ".tag=1"]) == ["=name=ana"]


# Pages -----------------------------------------------------------------------------------------------


def test_the_pages(app: Flask) -> None:
    with SimulatorServer() as server:
        with app.app_context():
            site = Site(server)
            first = site.client(site.clients[0])
            address, code = first.address or "", first.code
            site.cut(site.clients[1:])
            queue.connection().flushdb()
            (entry,) = site.load({"list": CUT, "address": address, "comment": "de otro"})
        browser = signed_in(app)
        url = f"/router/{site.router_id}/diferencia/"
        page = browser.get(url).text
        assert 'id="missing" data-count="2"' in page
        assert 'id="foreign" data-count="1"' in page
        assert "Adoptar" in page
        token = token_of(browser)
        answer = browser.post(
            f"{url}adoptar/", data={"csrf_token": token, "id": entry, "list": CUT, "address": address}
        )
        assert answer.status_code == 303
        assert [row["comment"] for row in site.entries()] == [f"wisp:{code}"]
        answer = browser.post(
            f"/router/{site.router_id}/sincronizar/", data={"csrf_token": token, "from": "difference"}
        )
        assert answer.location == url
        with app.app_context():
            queue.drain()
            actions = list(session().scalars(sa.select(AuditEntry.action)))
            assert "router.adopt_entry" in actions
            site.agree()
            site.close()
        assert 'id="missing"' not in browser.get(url).text
        log = browser.get(f"/router/{site.router_id}/registro/").text
        assert "/ip/firewall/address-list/add" in log
        assert "=password=•••" in log
        server.switch(off=True)
        assert "No se pudo leer el router" in browser.get(url).text


def test_the_sessions_of_a_client(app: Flask) -> None:
    with SimulatorServer() as server:
        with app.app_context():
            site = Site(server, clients=1, connection="pppoe", username="ana")
            client = site.client(site.clients[0])
            code, address = client.code, client.address or ""
            site.close()
        server.router.load("/ppp/active", [{"name": "ana", "address": "10.5.5.5", "caller-id": "AA:BB:CC:00:11:22"}])
        server.router.load("/ppp/active", [{"name": "eva", "address": "10.5.5.6"}])
        server.router.load("/ip/dhcp-server/lease", [{"address": address, "status": "bound"}])
        browser = signed_in(app)
        url = f"/router/{site.router_id}/sesiones/"
        assert "Preguntar al router" in browser.get(url).text
        page = browser.get(f"{url}?cliente={code}").text
        assert "10.5.5.5" in page
        assert "AA:BB:CC:00:11:22" in page
        assert f"<td>{address}</td>" in page
        assert "10.5.5.6" not in page
        assert "no tiene un cliente" in browser.get(f"{url}?cliente=NADIE").text
        server.switch(off=True)
        assert "No se pudo leer el router" in browser.get(f"{url}?cliente={code}").text
