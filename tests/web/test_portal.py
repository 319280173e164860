"""The client pages over HTTP: who is told what, what a stranger learns, "Entendido" until it is off the router."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import make_clients, make_router, make_zone
from tests.support.access import NOTICE, Site, owe, pay
from tests.support.staff import signed_in, token_of
from tests.unit.test_pictures import png
from wisp.access import service as access
from wisp.access.models import Access
from wisp.clients.models import Client
from wisp.core import audit, clock, queue
from wisp.core.db import db, session, transaction
from wisp.demo.routeros import SimulatorServer
from wisp.invoices import mail
from wisp.invoices.models import Invoice, Promise
from wisp.outbox.models import Message
from wisp.portal import domain, jobs, links, service, views
from wisp.portal.models import PortalPause, PortalVisit
from wisp.settings import service as settings

NOON = datetime(2026, 11, 20, 18, tzinfo=UTC)
DUE = date(2026, 11, 15)
TOKEN = re.compile(r'name="token" value="([^"]+)"')


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    with clock.frozen(NOON):
        yield


@pytest.fixture
def site(app: Flask, router_sim: SimulatorServer) -> Iterator[Site]:
    """A router with three clients who owe 350.00 since the 15th; the first has the notice, the second is cut."""
    with app.app_context():
        made = Site(router_sim, clients=3, owing=False)
        owe(made.clients, due=DUE)
        with transaction():
            settings.save_company(
                {"name": "Red Norte", "phone": "555 100", "how_to_pay": "OXXO\nhttps://pay.example.net/a"}
            )
        with queue.inline():
            made.notify(made.clients[:1])
            made.cut(made.clients[1:2])
    yield made
    made.close()


def client_of(app: Flask, client_id: int) -> Client:
    with app.app_context():
        found = session().get_one(Client, client_id)
        session().expunge(found)
        return found


def visit(browser: FlaskClient, address: str, path: str = "/aviso/", **options: Any) -> Any:
    answer = browser.get(path, environ_base={"REMOTE_ADDR": address}, **options)
    browser.application.extensions["wisp_looks"].settle()
    return answer


def press(browser: FlaskClient, address: str, page: Any, **fields: str) -> Any:
    found = TOKEN.search(page.text)
    assert found, "no button"
    data = {"token": found[1], **fields}
    return browser.post("/aviso/entendido/", data=data, environ_base={"REMOTE_ADDR": address})


def change(app: Flask, statement: Any) -> None:
    with app.app_context(), transaction() as s:
        s.execute(statement)


def listed(site: Site) -> set[str]:
    return {row[1] for row in site.ours() if row[0] == NOTICE}


class TestWhoSeesWhat:
    """By address, and what nobody may learn."""

    def test_the_client_of_the_address_sees_its_own_debt(self, app: Flask, client: FlaskClient, site: Site) -> None:
        owed = client_of(app, site.clients[0])
        page = visit(client, owed.address)
        assert page.status_code == 200
        for text in ("Aviso de pago", owed.name, "$350.00", "15 de noviembre de 2026", "OXXO", "Entendido", "555 100"):
            assert text in page.text
        assert '<a href="https://pay.example.net/a" rel="noreferrer">' in page.text
        assert 'lang="es"' in page.text

    def test_whoever_is_cut_has_nothing_to_confirm(self, app: Flask, client: FlaskClient, site: Site) -> None:
        page = visit(client, client_of(app, site.clients[1]).address)
        assert "Su servicio está suspendido" in page.text
        assert "$350.00" in page.text
        assert "<form" not in page.text

    def test_a_client_with_no_notice_sees_its_account(self, app: Flask, client: FlaskClient, site: Site) -> None:
        page = visit(client, client_of(app, site.clients[2]).address)
        assert "Su cuenta" in page.text
        assert "$350.00" in page.text
        assert "<form" not in page.text

    @pytest.mark.parametrize("address", ["10.200.0.1", "127.0.0.1", "2001:db8::99", ""])
    def test_an_unknown_address_sees_a_neutral_page(self, client: FlaskClient, site: Site, address: str) -> None:
        page = visit(client, address)
        assert page.status_code == 200
        assert "Red Norte" in page.text
        assert "$" not in page.text
        assert "Cliente" not in page.text
        assert "<form" not in page.text

    def test_the_neutral_page_speaks_the_browsers_language(self, client: FlaskClient, site: Site) -> None:
        page = visit(client, "10.200.0.1", headers={"Accept-Language": "en-US,en;q=0.9,es;q=0.5"})
        assert "Notices about your service" in page.text
        assert 'lang="en"' in page.text

    def test_a_clients_language_is_its_own(self, app: Flask, client: FlaskClient, site: Site) -> None:
        change(app, sa.update(Client).where(Client.id == site.clients[0]).values(language="en"))
        page = visit(client, client_of(app, site.clients[0]).address, headers={"Accept-Language": "es"})
        assert "Payment notice" in page.text
        assert "November 15, 2026" in page.text

    def test_two_clients_on_one_address_tell_nobody_apart(self, app: Flask, client: FlaskClient, site: Site) -> None:
        address = client_of(app, site.clients[0]).address
        with app.app_context():
            make_clients(1, make_zone(make_router()), address=address)
        page = visit(client, address)
        assert "$" not in page.text
        assert "<form" not in page.text
        assert visit(client, address, "/generate_204").status_code != 204  # still, its screen is sent here

    def test_an_address_that_moved_is_the_new_clients(self, app: Flask, client: FlaskClient, site: Site) -> None:
        first, third = (client_of(app, site.clients[n]) for n in (0, 2))
        old = first.address
        change(app, sa.update(Client).where(Client.id == first.id).values(address="10.99.0.1"))
        change(app, sa.update(Client).where(Client.id == third.id).values(address=old))
        page = visit(client, old)
        assert third.name in page.text
        assert first.name not in page.text
        assert first.name in visit(client, "10.99.0.1").text

    def test_a_cancelled_client_has_left_its_address(self, app: Flask, client: FlaskClient, site: Site) -> None:
        owed = client_of(app, site.clients[0])
        change(app, sa.update(Client).where(Client.id == owed.id).values(cancelled_at=NOON))
        assert owed.name not in visit(client, owed.address).text

    def test_an_ipv6_client_is_known_however_its_address_is_written(
        self, app: Flask, client: FlaskClient, site: Site
    ) -> None:
        change(app, sa.update(Client).where(Client.id == site.clients[0]).values(address="2001:db8::5"))
        owed = client_of(app, site.clients[0])
        assert owed.name in visit(client, "2001:0DB8:0:0:0:0:0:5").text
        other = client_of(app, site.clients[2])
        assert other.name in visit(client, f"::ffff:{other.address}").text

    @pytest.mark.parametrize("own", ["2001:db8:0:40::5", "2001:db8:0:40::/60", "2001:db8::/32", "2001:db8:0:40::/64"])
    def test_an_ipv6_address_or_prefix_is_the_clients(
        self, app: Flask, client: FlaskClient, site: Site, own: str
    ) -> None:
        change(app, sa.update(Client).where(Client.id == site.clients[0]).values(address6=own))
        owed = client_of(app, site.clients[0])
        assert owed.name in visit(client, "2001:0DB8:0:40:0:0:0:5").text
        assert owed.name in visit(client, owed.address).text
        assert owed.name not in visit(client, "2001:db9:0:40::5").text
        assert "<form" not in visit(client, "2001:db9:0:40::5").text

    def test_a_prefix_around_anothers_tells_nobody_apart(self, app: Flask, client: FlaskClient, site: Site) -> None:
        for number, own in enumerate(("2001:db8:0:40::/60", "2001:db8:0:40::/64")):
            change(app, sa.update(Client).where(Client.id == site.clients[number]).values(address6=own))
        page = visit(client, "2001:db8:0:40::5")
        assert "$" not in page.text
        assert "<form" not in page.text
        assert client_of(app, site.clients[0]).name in visit(client, "2001:db8:0:41::5").text

    def test_who_is_held_without_an_address_is_nobody_here(self, app: Flask, client: FlaskClient, site: Site) -> None:
        """A secret or lease can hold the cut of a client whose address anybody may have next."""
        cut = client_of(app, site.clients[1])
        change(app, sa.update(Client).where(Client.id == cut.id).values(address=None, connection="pppoe"))
        change(app, sa.update(Access).where(Access.client_id == cut.id).values(applied_address=None))
        with app.app_context(), transaction():
            settings.save_company({"page_servers": "203.0.113.10"})
        for page in (visit(client, cut.address), visit(client, cut.address, "/", headers={"Host": "news.example.org"})):
            assert "Avisos sobre su servicio" in page.text
            assert cut.name not in page.text
            assert "suspendido" not in page.text
            assert "$" not in page.text

    def test_a_fixed_address_beats_what_a_session_was_given_only_by_saying_nothing(
        self, app: Flask, client: FlaskClient, site: Site
    ) -> None:
        fixed, given = (client_of(app, site.clients[number]) for number in (0, 1))
        change(app, sa.update(Client).where(Client.id == given.id).values(address=None, connection="pppoe"))
        change(app, sa.update(Access).where(Access.client_id == given.id).values(applied_address=fixed.address))
        page = visit(client, fixed.address)
        assert "$" not in page.text
        assert fixed.name not in page.text
        assert given.name not in page.text

    def test_a_given_address_says_why_but_not_who(self, app: Flask, client: FlaskClient, site: Site) -> None:
        owed = client_of(app, site.clients[0])
        change(app, sa.update(Client).where(Client.id == owed.id).values(address=None))
        change(app, sa.update(Access).where(Access.client_id == owed.id).values(applied_address="10.77.0.1"))
        page = visit(client, "10.77.0.1")
        assert "Aviso de pago" in page.text
        assert "Entendido" in page.text
        assert "$" not in page.text
        assert owed.name not in page.text

    def test_headers_that_nobody_vouches_for_are_not_believed(
        self, app: Flask, client: FlaskClient, site: Site
    ) -> None:
        owed = client_of(app, site.clients[0])
        spoofed = dict.fromkeys(("X-Forwarded-For", "X-Real-IP", "Forwarded", "Client-IP"), owed.address)
        assert owed.name not in visit(client, "10.200.0.1", headers=spoofed).text

    def test_a_named_proxy_is_believed_for_the_last_hop_only(
        self, app: Flask, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from wisp.web.proxy import TrustedProxies

        monkeypatch.setattr(app, "wsgi_app", TrustedProxies(app.wsgi_app, ["10.0.0.9"]))
        first, third = (client_of(app, site.clients[n]) for n in (0, 2))
        page = visit(app.test_client(), "10.0.0.9", headers={"X-Forwarded-For": f"{third.address}, {first.address}"})
        assert first.name in page.text
        assert third.name not in page.text


class TestClientsAddress:
    """Where routers send those who are cut: plain HTTP, open to every client."""

    def test_the_office_is_not_there(self, app: Flask, client: FlaskClient, site: Site) -> None:
        with app.app_context(), transaction():
            settings.save_company({"page_servers": "203.0.113.10"})
        for port, code in ((8081, 404), (8082, 404), (8000, 200)):
            answer = client.get("/entrar/", headers={"Host": f"203.0.113.10:{port}"})
            assert answer.status_code == code
            assert ('name="password"' in answer.text) is (code == 200)
        assert client.get("/aviso/", headers={"Host": "203.0.113.10:8081"}).status_code == 200


class TestLinks:
    """The signed link of the e-mail."""

    def url(self, app: Flask, client_id: int) -> str:
        with app.app_context():
            address = views.page_url(client_id)
            assert address.startswith(app.config["WISP"].url + "/aviso/c/")
            return address.removeprefix(app.config["WISP"].url)

    def test_it_opens_the_clients_page_from_anywhere(self, app: Flask, client: FlaskClient, site: Site) -> None:
        page = visit(client, "203.0.113.9", self.url(app, site.clients[0]))
        assert client_of(app, site.clients[0]).name in page.text
        assert "$350.00" in page.text

    def test_nothing_but_the_signature_counts(self, app: Flask, client: FlaskClient, site: Site) -> None:
        secret = app.config["WISP"].secret_key
        url = self.url(app, site.clients[0])
        other = links.sign(secret, links.CONFIRM, site.clients[0])
        strange = links.sign("another secret", links.PAGE, site.clients[0])
        wrong = [url[:-3] + ("AA/" if url[-3:] != "AA/" else "BB/"), f"/aviso/c/{other}/", f"/aviso/c/{strange}/",
                 f"/aviso/c/{site.clients[0]}/", f"/aviso/c/{'A' * 5000}/"]  # fmt: skip
        for path in wrong:
            page = visit(client, "203.0.113.9", path)
            assert page.status_code == 404
            assert "$" not in page.text

    def test_it_ends(self, app: Flask, client: FlaskClient, site: Site) -> None:
        url = self.url(app, site.clients[0])
        with clock.frozen(NOON + timedelta(days=89)):
            assert "$350.00" in visit(client, "203.0.113.9", url).text
        with clock.frozen(NOON + timedelta(days=91)):
            assert visit(client, "203.0.113.9", url).status_code == 404

    def test_it_is_not_for_a_client_who_came_later(self, app: Flask, client: FlaskClient, site: Site) -> None:
        """A restored database gives the same number to another client."""
        url = self.url(app, site.clients[0])
        with app.app_context(), transaction() as s:
            s.get_one(Client, site.clients[0]).created_at = clock.now() + timedelta(seconds=2)
        assert visit(client, "203.0.113.9", url).status_code == 404

    def test_the_invoice_email_holds_it(self, app: Flask, client: FlaskClient, site: Site) -> None:
        with app.app_context():
            invoice = session().scalars(sa.select(Invoice).where(Invoice.client_id == site.clients[0])).one()
            message = Message(kind="invoice", invoice_id=invoice.id, recipient="x@example.com", language="es")
            from wisp.outbox.rendering import preview

            rendered = preview(message)
            assert mail.client_link is not None
            url = mail.client_link(site.clients[0])
        assert url in rendered.text
        assert url in rendered.html
        assert visit(client, "203.0.113.9", url.removeprefix(app.config["WISP"].url)).status_code == 200


class TestUnderstood:
    """The button, until the router's list says so too."""

    def test_it_takes_the_notice_off_the_router(self, app: Flask, client: FlaskClient, site: Site) -> None:
        owed = client_of(app, site.clients[0])
        assert listed(site) == {owed.address}
        page = visit(client, owed.address)
        with app.app_context(), queue.inline():
            answer = press(client, owed.address, page)
        assert answer.status_code == 303
        assert answer.location == "/aviso/"
        assert listed(site) == set()
        after = visit(client, owed.address).text
        assert "Entendido" not in after
        assert "Se lo recordaremos el 21 de noviembre de 2026, 12:00" in after
        with app.app_context():
            row = session().scalars(sa.select(PortalVisit)).one()
            assert (row.client_id, row.day, row.seen) == (owed.id, date(2026, 11, 20), 1)
            assert row.confirmed_at == NOON
            entry = (
                session().scalars(sa.select(audit.AuditEntry).where(audit.AuditEntry.action == "portal.confirm")).one()
            )
            assert (entry.target, entry.actor, entry.ip) == (f"client:{owed.code}", "visitor", owed.address)

    def test_it_comes_back_after_the_hours_while_the_debt_lasts(
        self, app: Flask, client: FlaskClient, site: Site
    ) -> None:
        owed = client_of(app, site.clients[0])
        press(client, owed.address, visit(client, owed.address))
        for hours, there in ((23, set()), (24, {owed.address})):
            with clock.frozen(NOON + timedelta(hours=hours)), app.app_context(), queue.inline():
                jobs.remind()
                access_sync(site)
            assert listed(site) == there
        with clock.frozen(NOON + timedelta(hours=24)):
            assert "Entendido" in visit(client, owed.address).text

    @pytest.mark.parametrize("why", ["paid", "promised", "excluded", "cut", "below the minimum"])
    def test_it_does_not_come_back(self, app: Flask, client: FlaskClient, site: Site, why: str) -> None:
        owed = client_of(app, site.clients[0])
        press(client, owed.address, visit(client, owed.address))
        with app.app_context():
            if why == "paid":
                pay([owed.id])
            elif why == "cut":
                with transaction():
                    access.want_suspended([owed.id])
            else:
                with transaction() as s:
                    if why == "promised":
                        s.add(Promise(client_id=owed.id, until=date(2026, 11, 30), actor="x", created_at=NOON))
                    elif why == "excluded":
                        s.execute(sa.update(Client).where(Client.id == owed.id).values(no_notice=True))
                    else:
                        settings.save_company({"notice_minimum": 35_001})
        with clock.frozen(NOON + timedelta(hours=25)), app.app_context():
            jobs.remind()
            assert not session().get_one(Access, owed.id).notice
            assert session().get_one(PortalPause, owed.id).back_at is None

    def test_it_works_once_in_the_hours(self, app: Flask, client: FlaskClient, site: Site) -> None:
        owed = client_of(app, site.clients[0])
        page = visit(client, owed.address)
        press(client, owed.address, page)
        with app.app_context(), transaction():
            access.want_notice([owed.id])  # a run of notices meanwhile
        again = visit(client, owed.address)
        assert "<form" not in again.text
        with clock.frozen(NOON + timedelta(hours=23)):
            press(client, owed.address, page)
        with app.app_context():
            assert session().get_one(Access, owed.id).notice
        with clock.frozen(NOON + timedelta(hours=24)):
            press(client, owed.address, visit(client, owed.address))
        with app.app_context():
            assert not session().get_one(Access, owed.id).notice

    def test_its_returns_end_after_the_days_and_a_later_run_begins_anew(self, app: Flask, site: Site) -> None:
        with app.app_context(), transaction():
            settings.save_company({"notice_days": 2, "notice_hours": 24})
        client_id, backs = site.clients[0], []
        for hours in (0, 24, 100, 700):  # the third is late: it stood on the screen for two days
            with clock.frozen(NOON + timedelta(hours=hours)), app.app_context():
                jobs.remind()
                with transaction():
                    if hours == 700:
                        assert access.want_notice([client_id]) == 1
                    assert service.confirm(client_id)
                row = session().get_one(PortalPause, client_id)
                backs.append((row.back_at is not None, row.since == NOON))
        assert backs == [(True, True), (True, True), (False, True), (True, False)]

    def test_a_series_ends_with_the_payment(self, app: Flask, site: Site) -> None:
        client_id = site.clients[0]
        with app.app_context(), transaction():
            assert service.confirm(client_id)
        later = NOON + timedelta(days=40)
        with app.app_context():
            pay([client_id])
        with clock.frozen(NOON + timedelta(days=1)), app.app_context():
            jobs.remind()
        with clock.frozen(later), app.app_context(), transaction():
            access.want_notice([client_id])
            assert service.confirm(client_id)
        with app.app_context():
            row = session().get_one(PortalPause, client_id)
            assert (row.since, row.back_at) == (later, later + timedelta(days=1))

    def test_with_no_days_it_does_not_come_back(self, app: Flask, site: Site) -> None:
        with app.app_context(), transaction():
            settings.save_company({"notice_days": 0})
            assert service.confirm(site.clients[0])
        with app.app_context():
            assert session().get_one(PortalPause, site.clients[0]).back_at is None

    def test_a_token_of_somebody_else_or_of_yesterday_does_nothing(
        self, app: Flask, client: FlaskClient, site: Site
    ) -> None:
        first, third = (client_of(app, site.clients[n]) for n in (0, 2))
        page = visit(client, first.address)
        assert press(client, third.address, page).status_code == 409
        assert press(client, "10.200.0.1", page).status_code == 409
        with clock.frozen(NOON + timedelta(hours=25)):
            assert press(client, first.address, page).status_code == 409
        bare = client.post("/aviso/entendido/", environ_base={"REMOTE_ADDR": first.address})
        assert bare.status_code == 409
        with app.app_context():
            assert session().get_one(Access, first.id).notice
            assert session().scalar(sa.select(sa.func.count()).select_from(PortalPause)) == 0

    def test_it_works_from_the_link_too(self, app: Flask, client: FlaskClient, site: Site) -> None:
        with app.app_context():
            url = views.page_url(site.clients[0]).removeprefix(app.config["WISP"].url)
        page = visit(client, "203.0.113.9", url)
        answer = press(client, "203.0.113.9", page, link=url.split("/")[3])
        assert answer.location == url
        with app.app_context():
            assert not session().get_one(Access, site.clients[0]).notice


def access_sync(site: Site) -> None:
    with transaction():
        access.request_sync([site.router_id])


class TestTheDocument:
    """Small, whole, without scripts and without a trace."""

    @pytest.mark.parametrize("which", [0, 1, 2, None])
    def test_it_is_one_small_document(self, app: Flask, client: FlaskClient, site: Site, which: int | None) -> None:
        with app.app_context(), transaction():
            settings.save_company({"how_to_pay": "x" * 2000, "notice_text_es": "y" * 2000, "cut_text_es": "z" * 2000})
        address = client_of(app, site.clients[which]).address if which is not None else "10.200.0.1"
        page = visit(client, address)
        assert len(page.data) < 30_000
        for sign in ("<script", "<link", "<img", "@import", "url(", "src=", " style=", "javascript:"):
            assert sign not in page.text
        assert page.text.count("<style>") == 1
        assert "prefers-color-scheme:dark" in page.text
        assert "Set-Cookie" not in page.headers
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy

    def test_the_logo_stands_in_it_and_only_then_a_picture_is_let_in(
        self, app: Flask, client: FlaskClient, site: Site
    ) -> None:
        address = client_of(app, site.clients[0]).address
        assert "img-src" not in visit(client, address).headers["Content-Security-Policy"]
        with app.app_context(), transaction():
            settings.set_logo(png(300, 90, noise=bytes(range(256)) * 56))
        for number in (0, 1, 2):
            page = visit(client, client_of(app, site.clients[number]).address)
            assert '<img src="data:image/png;base64,iVBOR' in page.text
            assert 'width="300" height="90" alt=""' in page.text
            assert len(page.data) < 30_000
            assert "; img-src data:; " in page.headers["Content-Security-Policy"]
        with app.app_context(), transaction():  # signs that take five bytes each leave no room for it
            settings.save_company({"how_to_pay": "&" * 2000, "cut_text_es": "'" * 2000})
        page = visit(client, client_of(app, site.clients[1]).address)
        assert "<img" not in page.text
        assert "img-src" not in page.headers["Content-Security-Policy"]
        assert len(page.data) < 30_000
        with app.app_context(), transaction():
            settings.save_company({"how_to_pay": "", "cut_text_es": ""})
            assert settings.remove_logo()
        assert "<img" not in visit(client, address).text

    def test_what_people_wrote_is_text(self, app: Flask, client: FlaskClient, site: Site) -> None:
        change(app, sa.update(Client).where(Client.id == site.clients[0]).values(name="<b>{importe}</b>"))
        with app.app_context(), transaction():
            settings.save_company(
                {
                    "notice_text_es": "Hola {nombre}: {importe} {{7*7}}".replace("{{7*7}}", "7*7"),
                    "how_to_pay": "<i>caja</i>",
                }
            )
        page = visit(client, client_of(app, site.clients[0]).address).text
        assert "Hola &lt;b&gt;{importe}&lt;/b&gt;: $350.00 7*7" in page
        assert "&lt;i&gt;caja&lt;/i&gt;" in page

    def test_it_takes_few_statements(self, app: Flask, client: FlaskClient, site: Site) -> None:
        owed = client_of(app, site.clients[0])
        with app.app_context(), transaction():
            settings.set_logo(png())
        visit(client, owed.address)  # the first look of the day is counted, the logo is read once
        seen: list[str] = []
        with app.app_context():
            engine = db.engine

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            seen.append(statement)

        sa.event.listen(engine, "before_cursor_execute", note)
        try:
            visit(client, owed.address)
            assert len([one for one in seen if not one.startswith("BEGIN")]) == 2, seen
            seen.clear()
            assert visit(client, "10.200.0.1", "/generate_204").status_code == 204
            assert len([one for one in seen if not one.startswith("BEGIN")]) == 1, seen
        finally:
            sa.event.remove(engine, "before_cursor_execute", note)

    def test_the_addresses_are_found_by_an_index(self, app: Flask, site: Site) -> None:
        with app.app_context():
            if session().get_bind().dialect.name != "sqlite":
                return  # with three rows PostgreSQL reads the table
            for address, wanted in (("10.0.0.1", {"ix_client_address", "ix_access_applied_address"}),
                                    ("2001:db8::5", {"ix_client_address6"})):  # fmt: skip
                names = domain.prefixes(address)
                looked_for = service._at(bool(names)).params(address=address, prefixes=names)
                query = str(looked_for.compile(compile_kwargs={"literal_binds": True}))
                plan = " ".join(str(row) for row in session().execute(sa.text(f"EXPLAIN QUERY PLAN {query}")))
                assert wanted <= set(re.findall(r"INDEX (\w+)", plan)), plan

    def test_looks_are_counted_but_a_storm_of_them_is_one(self, app: Flask, client: FlaskClient, site: Site) -> None:
        owed = client_of(app, site.clients[0])
        for minutes in (0, 1, 4, 6, 7, 60 * 20):
            with clock.frozen(NOON + timedelta(minutes=minutes)):
                visit(client, owed.address)
        with app.app_context():
            rows = session().scalars(sa.select(PortalVisit).order_by(PortalVisit.day)).all()
            assert [(row.day.day, row.seen) for row in rows] == [(20, 2), (21, 1)]


class TestProbes:
    """What phones ask, and what was meant for other sites."""

    @pytest.mark.parametrize("path", list(domain.PROBES))
    def test_on_a_list_it_leads_to_the_page_else_all_is_well(
        self, app: Flask, client: FlaskClient, site: Site, path: str
    ) -> None:
        with app.app_context(), transaction():
            settings.save_company({"page_servers": "2001:db8::10 203.0.113.10"})
        host = {"Host": "captive.example.org"}
        for number, port in ((0, 8082), (1, 8081)):
            answer = visit(client, client_of(app, site.clients[number]).address, path, headers=host)
            assert (answer.status_code, answer.location) == (302, f"http://203.0.113.10:{port}/aviso/")
        unknown = visit(client, "10.200.0.1", path, headers=host)  # a rule sent it here; whose it is nobody knows
        assert (unknown.status_code, unknown.location) == (302, "http://203.0.113.10:8082/aviso/")
        for address, there in ((client_of(app, site.clients[2]).address, host), ("10.200.0.1", {}),
                               ("10.200.0.1", {"Host": "203.0.113.10:8082"}), ("127.0.0.1", host)):  # fmt: skip
            answer = visit(client, address, path, headers=there)
            body, _kind, status = domain.PROBES[path]
            assert (answer.status_code, answer.text) == (status, body)
            assert "Set-Cookie" not in answer.headers

    def test_any_site_leads_a_listed_client_to_its_page(self, app: Flask, client: FlaskClient, site: Site) -> None:
        with app.app_context(), transaction():
            settings.save_company({"page_servers": "2001:db8::10 203.0.113.10"})
        owed = client_of(app, site.clients[0])
        for path in ("/", "/entrar/", "/news/today?x=1", "/static/a.css"):
            answer = visit(client, owed.address, path, headers={"Host": "news.example.org"})
            assert (answer.status_code, answer.location) == (302, "http://203.0.113.10:8082/aviso/"), path
        there = visit(client, owed.address, "/", headers={"Host": "203.0.113.10:8082"})
        assert there.location == "http://203.0.113.10:8082/aviso/"
        assert owed.name in visit(client, owed.address, "/aviso/", headers={"Host": "203.0.113.10:8082"}).text

    def test_where_no_address_of_ours_is_known_the_page_itself_is_the_answer(
        self, app: Flask, client: FlaskClient, site: Site
    ) -> None:
        owed = client_of(app, site.clients[0])
        for path in ("/", "/generate_204"):
            answer = visit(client, owed.address, path, headers={"Host": "news.example.org"})
            assert answer.status_code == 200
            assert owed.name in answer.text

    def test_an_unknown_visitor_of_another_site_sees_the_neutral_page(
        self, app: Flask, client: FlaskClient, site: Site
    ) -> None:
        import dataclasses

        app.config["WISP"] = dataclasses.replace(app.config["WISP"], url="https://wisp.example.com")
        answer = visit(client, "10.200.0.1", "/news", headers={"Host": "news.example.org"})
        assert "Avisos sobre su servicio" in answer.text
        own = visit(client, "10.200.0.1", "/", headers={"Host": "wisp.example.com"})
        assert own.status_code == 302
        assert "/aviso/" not in own.location
        listed_one = visit(client, client_of(app, site.clients[0]).address, "/", headers={"Host": "news.example.org"})
        assert listed_one.location == "https://wisp.example.com/aviso/"

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "", "[::1", "wisp:8000"])
    def test_the_office_is_left_alone(self, client: FlaskClient, site: Site, host: str) -> None:
        answer = visit(client, "10.200.0.1", "/entrar/", headers={"Host": host})
        assert "/aviso/" not in (answer.location or "")
        assert "Avisos sobre su servicio" not in answer.text


class TestTheOffice:
    """The texts, and who has seen."""

    FIELDS = {"seen_hours": "2", "notice_hours": "12", "notice_days": "10", "page_servers": "",
              "page_port_cut": "8081", "page_port_notice": "8082", "cut_text_es": "", "cut_text_en": "",
              "notice_text_en": ""}  # fmt: skip

    def test_a_text_is_saved_and_shown(self, app: Flask, site: Site) -> None:
        office = signed_in(app)
        data = {"csrf_token": token_of(office), **self.FIELDS, "notice_text_es": "{empresa}: debe {importe}"}
        assert office.post("/ajustes/avisos/", data=data).status_code == 303
        page = visit(app.test_client(), client_of(app, site.clients[0]).address)
        assert "Red Norte: debe $350.00" in page.text

    @pytest.mark.parametrize("text", ["{clave}", "{nombre", "{{ config }}", "{nombre.__class__}", "{0}"])
    def test_a_variable_that_there_is_not_is_refused(self, app: Flask, text: str) -> None:
        office = signed_in(app)
        data = {"csrf_token": token_of(office), **self.FIELDS, "notice_text_es": text}
        answer = office.post("/ajustes/avisos/", data=data)
        assert answer.status_code == 422
        assert "{importe}" in answer.text
        with app.app_context():
            assert settings.company().notice_text_es == ""

    def test_a_preview_shows_what_is_not_yet_saved(self, app: Flask) -> None:
        office = signed_in(app)
        data = {"csrf_token": token_of(office), **self.FIELDS, "notice_text_es": "Pague {importe}", "page": "notice-es"}
        answer = office.post("/ajustes/avisos/vista/", data=data)
        assert "Pague $350.00" in answer.text
        with app.app_context():
            assert settings.company().notice_text_es == ""
        assert office.post("/ajustes/avisos/vista/", data={**data, "page": "x"}).status_code == 400
        assert "suspendido" in office.post("/ajustes/avisos/vista/", data={**data, "page": "cut-es"}).text

    def test_the_clients_file_says_who_saw_and_confirmed(self, app: Flask, client: FlaskClient, site: Site) -> None:
        owed = client_of(app, site.clients[0])
        press(client, owed.address, visit(client, owed.address))
        page = signed_in(app).get(f"/clientes/{owed.code}/aviso/").text
        assert "/aviso/c/" in page
        assert "20 nov 2026 12:00" in page
        assert page.count("20 nov 2026 12:00") >= 3

    def test_the_pages_of_the_office_ask_for_a_permission(self, app: Flask, client: FlaskClient) -> None:
        assert client.get("/ajustes/avisos/").status_code == 302
        assert signed_in(app, "tec@example.com", "technician").get("/ajustes/avisos/").status_code == 403
