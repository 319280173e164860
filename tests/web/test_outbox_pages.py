"""The pages of the outbox: who may what, what they say, page and partial."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests import factories
from tests.support.mail import MailServer
from tests.support.outbox import make_invoice, queued, row, states
from tests.support.staff import signed_in, token, token_of
from wisp.core import clock
from wisp.core.db import transaction
from wisp.outbox import server
from wisp.outbox.models import Message

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}
POSTS = ("/correos/1/reenviar/", "/correos/1/retener/", "/correos/1/liberar/", "/correos/liberar-retenidos/")


def posted(client: FlaskClient, url: str, **fields: str) -> int:
    return client.post(url, data={"csrf_token": token_of(client), **fields}).status_code


@pytest.mark.parametrize(
    ("role", "sees", "resends"),
    [("admin", True, True), ("finance", True, True), ("support", True, False), ("technician", False, False)],
)
def test_who_may_see_and_who_may_send_again(app: Flask, role: str, sees: bool, resends: bool) -> None:
    with app.app_context():
        queued(1, state="sent")
    client = signed_in(app, role=role)
    for url in ("/correos/", "/correos/1/"):
        assert client.get(url).status_code == (200 if sees else 403)
    if sees:
        assert ("/correos/1/reenviar/" in client.get("/correos/1/").text) is resends
    for url in POSTS:
        assert (posted(client, url) == 403) is not resends


def test_without_a_session_and_without_a_token(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/correos/").status_code == 302
    inside = signed_in(app)
    for url in POSTS:
        assert inside.post(url).status_code == 400


def test_page_and_partial(app: Flask) -> None:
    with app.app_context():
        queued(2, subject="Aviso")
    client = signed_in(app)
    page = client.get("/correos/").text
    assert "<html" in page
    assert page.count('id="outbox-table"') == 1
    part = client.get("/correos/", headers=PARTIAL)
    assert "<html" not in part.text
    assert part.text.lstrip().startswith('<div id="outbox-table"')
    assert "every 5s" in part.text  # something waits
    assert "HX-Request-Type" in part.headers["Vary"]
    with app.app_context(), transaction() as s:
        s.execute(sa.update(Message).values(state="sent"))
    assert "every 5s" not in client.get("/correos/", headers=PARTIAL).text


def test_the_list_filters_and_searches(app: Flask) -> None:
    with app.app_context():
        queued(1, recipient="ana@example.com", state="failed", error="550 no such user")
        queued(1, recipient="eva@example.com")
    client = signed_in(app)
    failed = client.get("/correos/?state=failed").text
    assert "ana@example.com" in failed
    assert "550 no such user" in failed
    assert "eva@example.com" not in failed
    assert "eva@example.com" in client.get("/correos/?q=EVA").text
    assert "ana@example.com" not in client.get("/correos/?q=EVA").text
    assert client.get("/correos/?state=%27&kind=%22&sort=x&page=99").status_code == 200
    assert "eva@example.com" not in client.get("/correos/?kind=invoice").text


def test_it_says_so_where_there_is_no_server(app: Flask) -> None:
    page = signed_in(app).get("/correos/").text
    assert "/ajustes/correo/" in page
    assert 'class="alert alert-warning"' in page


def test_it_says_why_the_last_attempt_failed_and_when_it_is_tried_again(app: Flask, smtp: MailServer) -> None:
    with app.app_context(), transaction():
        server.failed("login", "535 5.7.8 bad <credentials>", after_success=False)
    page = signed_in(app).get("/correos/").text
    assert 'class="alert alert-danger"' in page
    assert "535 5.7.8 bad &lt;credentials&gt;" in page
    with app.app_context(), transaction():
        server.worked()
    assert "alert-danger" not in signed_in(app, "b@example.com").get("/correos/").text


def test_one_e_mail_shows_its_text_safely(app: Flask) -> None:
    with app.app_context():
        client_row = factories.make_client(name="José <script>alert(1)</script>", code="JOSE-1")
        invoice = make_invoice(3, client_row)
        queued(1, kind="invoice", data=None, invoice_id=invoice.id, client_id=client_row.id)
        queued(1, kind="of_a_newer_version")
        queued(1, kind="invoice", data=None)
    client = signed_in(app)
    page = client.get("/correos/1/").text
    assert "A000003" in page
    assert "$350.00" in page
    assert "JOSE-1" in page
    assert "<script>alert" not in page
    assert client.get("/correos/2/").status_code == 200
    assert client.get("/correos/3/").status_code == 200
    assert client.get("/correos/99/").status_code == 404


def test_sending_again_to_a_corrected_address(app: Flask) -> None:
    with app.app_context():
        queued(1, state="failed", error="550 no")
    client = signed_in(app)
    page = client.get("/correos/1/").text
    assert "/correos/1/reenviar/" in page
    answer = client.post("/correos/1/reenviar/", data={"csrf_token": token(page), "recipient": "right@example.com"})
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith("/correos/2/")
    with app.app_context():
        assert row(2).recipient == "right@example.com"
    assert "/correos/2/" in client.get("/correos/1/").text
    wrong = client.post("/correos/1/reenviar/", data={"csrf_token": token_of(client), "recipient": "right@example.com"})
    assert wrong.status_code == 422  # a double click makes no third
    with app.app_context():
        assert states() == {"failed": 1, "pending": 1}


def test_holding_and_letting_go(app: Flask) -> None:
    with app.app_context():
        queued(1)
        queued(2, state="held", error="too_old", created_at=clock.now() - timedelta(days=9))
    client = signed_in(app)
    assert posted(client, "/correos/1/retener/") == 303
    with app.app_context():
        assert states() == {"held": 3}
    assert posted(client, "/correos/1/liberar/") == 303
    assert posted(client, "/correos/1/liberar/") == 303  # says that it is not held
    assert posted(client, "/correos/liberar-retenidos/") == 303
    with app.app_context():
        assert states() == {"pending": 3}


def test_staff_of_one_zone_sees_only_its_clients_messages(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    from wisp.core.scope import Scope
    from wisp.outbox import views

    with app.app_context():
        north, south = factories.make_zone(), factories.make_zone()
        queued(1, recipient="north@example.com", client_id=factories.make_client(north).id)
        queued(1, recipient="south@example.com", client_id=factories.make_client(south).id)
        queued(1, recipient="boss@example.com")
        zone = north.id
    client = signed_in(app)
    monkeypatch.setattr(views, "scope", lambda: Scope(frozenset({zone})))
    page = client.get("/correos/").text
    assert "north@example.com" in page
    assert "south@example.com" not in page
    assert "boss@example.com" not in page
    assert client.get("/correos/2/").status_code == 404
    assert posted(client, "/correos/2/retener/") == 404
    assert posted(client, "/correos/3/reenviar/") == 404


def test_the_settings_page_sends_a_test_e_mail(app: Flask, smtp: MailServer) -> None:
    client = signed_in(app)
    fields = {"csrf_token": token_of(client), "address": "jefe@example.com"}
    answer = client.post("/ajustes/correo/prueba/", data=fields, headers=PARTIAL)
    assert answer.status_code == 200
    assert smtp.addresses() == ["jefe@example.com"]
    smtp.refused = {"jefe@example.com"}
    answer = client.post("/ajustes/correo/prueba/", data=fields, headers=PARTIAL)
    assert "550 5.1.1 no such mailbox here" in answer.text
