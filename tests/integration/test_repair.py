"""The difference page repairs what was ticked: those entries, and nothing else."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.integration.test_difference import mixed, shown, site  # noqa: F401  (fixtures)
from tests.support.access import CUT, LISTS, Site
from tests.support.staff import signed_in, token_of
from wisp.access import differences, repair, sync
from wisp.access.models import RouterSync
from wisp.core import clock, queue
from wisp.core.audit import AuditEntry
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.lease import LEASE
from wisp.demo.routeros import SimulatorServer
from wisp.gateway import GatewayError

BOX = re.compile(r'name="line" value="([^"]+)"')


def rows(site: Site) -> dict[str, dict[str, str]]:  # noqa: F811
    return {row[".id"]: row for row in site.entries()}


def put_right(site: Site, *lines: differences.Line) -> repair.Done:  # noqa: F811
    wanted = repair.chosen([repair.key(line.list, line.address, line.code) for line in lines])
    with transaction():
        plan = repair.begin(site.router_id, "person")
    done = repair.work(plan, wanted)
    with transaction():
        repair.end(site.router_id, "person")
    return done


@pytest.mark.parametrize("group, number", [("missing", 0), ("extra", 0), ("stale", 0), ("stale", 1)])
def test_one_line_is_put_right_and_everything_else_stays(mixed: Site, group: str, number: int) -> None:  # noqa: F811
    before, found = rows(mixed), differences.look(mixed.router_id)
    line = getattr(found, group)[number]
    done = put_right(mixed, line)
    assert (done.repaired, done.gone, done.failed) == ([(line.list, line.address, line.code)], 0, [])
    after = rows(mixed)
    changed = {row_id for row_id in before if before[row_id] != after.get(row_id)}
    assert changed == {line.id}
    assert after.keys() <= before.keys()
    again = differences.look(mixed.router_id)
    left = {name: shown(getattr(found, name)) for name in ("missing", "extra", "stale", "foreign")}
    left[group].remove((line.address, line.why))
    assert {name: shown(getattr(again, name)) for name in left} == left


def test_a_missing_entry_of_either_family_is_written(site: Site) -> None:  # noqa: F811
    first, second = (site.client(i) for i in site.clients[:2])
    with transaction() as s:
        s.execute(sa.update(type(first)).where(type(first).id == first.id).values(address6="2001:db8:7::/48"))
    site.cut([first.id, second.id])
    queue.connection().flushdb()
    found = differences.look(site.router_id)
    assert len(found.missing) == 3
    done = put_right(site, *[line for line in found.missing if line.code == first.code])
    assert len(done.repaired) == 2
    assert site.ours() == {(CUT, first.address, f"wisp:{first.code}")}
    six = site.server.router.snapshot("/ipv6/firewall/address-list")
    assert [(row["address"], row["comment"]) for row in six] == [("2001:db8:7::/48", f"wisp:{first.code}")]
    assert shown(differences.look(site.router_id).missing) == [(second.address, "absent")]
    site.sync()
    site.agree()


def test_what_is_not_so_any_more_is_left_alone(mixed: Site) -> None:  # noqa: F811
    found = differences.look(mixed.router_id)
    stale = next(line for line in found.stale if line.why == "gone")
    mixed.server.router.table(LISTS).set(stale.id, {"comment": "de otro ahora"})
    before = rows(mixed)
    made_up = differences.Line(CUT, "10.77.0.3", "NADIE", "gone")  # the foreign entry, as if it were ours
    done = put_right(mixed, stale, made_up)
    assert (done.repaired, done.gone, done.failed) == ([], 2, [])
    assert rows(mixed) == before


def test_a_refusal_and_a_break_are_told(mixed: Site) -> None:  # noqa: F811
    line = differences.look(mixed.router_id).extra[0]
    before = rows(mixed)
    mixed.server.switch(no_permission=True)
    done = put_right(mixed, line)
    assert (done.repaired, done.gone) == ([], 0)
    assert "not enough permissions" in done.failed[0]
    mixed.server.switch(no_permission=False, off=True)
    with pytest.raises(GatewayError):
        put_right(mixed, line)
    assert rows(mixed) == before


def test_it_never_works_beside_a_synchronisation(mixed: Site) -> None:  # noqa: F811
    mixed.order()
    with transaction():
        assert sync.claim(mixed.router_id, "job", force=True) is not None
    with pytest.raises(Refused) as refused, transaction():
        repair.begin(mixed.router_id, "person")
    assert refused.value.code == "access.busy"
    with clock.frozen(clock.now() + LEASE + timedelta(seconds=1)):
        with transaction():
            repair.begin(mixed.router_id, "person")  # its time ran out
        with transaction():
            assert sync.claim(mixed.router_id, "job", force=True) is None
        queue.connection().flushdb()
        with transaction():
            repair.end(mixed.router_id, "person")
        queue.drain()  # what was ordered meanwhile is done at once
    session().rollback()
    state = session().get_one(RouterSync, mixed.router_id, populate_existing=True)
    assert (state.done, state.lease_until) == (state.requested, None)
    assert differences.look(mixed.router_id).empty


def test_ticked_lines_are_sent_with_the_form_and_the_page_says_what_came_of_it(app: Flask) -> None:
    with SimulatorServer() as server:
        with app.app_context():
            made = Site(server, clients=4)
            clients = [made.client(i) for i in made.clients]
            codes, addresses = [c.code for c in clients], [c.address or "" for c in clients]
            made.load(
                *({"list": CUT, "address": a, "comment": f"wisp:{c}"} for a, c in zip(addresses, codes, strict=True))
            )
        browser = signed_in(app)
        url = f"/router/{made.router_id}/diferencia/"
        boxes = BOX.findall(browser.get(url).text)
        assert boxes == [repair.key(CUT, address, code) for address, code in zip(addresses, codes, strict=True)]
        answer = browser.post(f"{url}reparar/", data={"csrf_token": token_of(browser), "line": boxes[1:3]})
        assert (answer.status_code, answer.location) == (303, url)
        page = browser.get(url).text
        assert "Se corrigieron 2 entradas." in page
        assert BOX.findall(page) == [boxes[0], boxes[3]]
        browser.post(f"{url}reparar/", data={"csrf_token": token_of(browser), "line": [boxes[1], "x", "a|b"]})
        assert "1 había cambiado entretanto." in browser.get(url).text
        browser.post(f"{url}reparar/", data={"csrf_token": token_of(browser)})
        assert "No se marcó nada." in browser.get(url).text
        log = browser.get(f"/router/{made.router_id}/registro/").text
        assert "/ip/firewall/address-list/remove" in log
        with app.app_context():
            entry = session().scalars(sa.select(AuditEntry).where(AuditEntry.action == "router.repair")).one()
            assert entry.after["total"] == 2
            made.close()
        support = signed_in(app, "caja@example.com", "cashier")
        assert support.post(f"{url}reparar/", data={"csrf_token": token_of(support)}).status_code == 403
