"""The staff pages: inviting, data, permissions, zones, deactivating, and how far each manager goes."""

import csv
import io
import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests import factories
from tests.support.mail import MailServer
from tests.support.staff import PASSWORD, log_in, make_staff, signed_in, token, token_of
from wisp.core import audit, queue
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.permissions import PRESETS, Permission, Role
from wisp.outbox.models import Message
from wisp.staff import changes, links, mail, service
from wisp.staff.models import StaffLink
from wisp.staff.texts import HELP, group_of


def post(client: FlaskClient, address: str, **fields: Any) -> Any:
    return client.post(address, data={"csrf_token": token_of(client), **fields})


def number(app: Flask, email: str) -> int:
    with app.app_context():
        return service.find(email).id


def held(app: Flask, email: str) -> set[str]:
    with app.app_context():
        return {str(permission) for permission in service.permissions_of(service.find(email))}


def actions(app: Flask) -> list[str]:
    with app.app_context():
        return list(session().scalars(sa.select(audit.AuditEntry.action).order_by(audit.AuditEntry.id)))


def link_in(smtp: MailServer, address: str) -> str:
    """The path of the last link that was sent to ``address``."""
    letters = [letter.message for letter in smtp.messages if letter.recipients == [address]]
    text = letters[-1].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    found = re.search(r"https?://[^/\s]+(/entrar/clave/\S+)", text)
    assert found, text
    return found[1]


def deliver(app: Flask) -> None:
    with app.app_context():
        queue.drain()


class TestInvitation:
    """Adding somebody."""

    def test_a_link_by_mail_lets_the_person_in_once(self, app: Flask, smtp: MailServer) -> None:
        boss = signed_in(app)
        answer = post(boss, "/staff/agregar/", name="Eva", email="Eva@example.com", role="cashier")
        eva = number(app, "eva@example.com")
        assert answer.location == f"/staff/{eva}/permisos/"
        assert "Invitado" in boss.get("/staff/").text
        assert log_in(app.test_client(), "eva@example.com", "").status_code == 422
        deliver(app)
        path, browser = link_in(smtp, "eva@example.com"), app.test_client()
        for _ in range(2):  # a mail program that looks at the link does not use it up
            assert browser.get(path).status_code == 200
        fields = {"csrf_token": token(browser.get(path).text), "new": "short", "again": "short"}
        assert browser.post(path, data=fields).status_code == 422
        fields |= {"new": PASSWORD, "again": PASSWORD}
        assert browser.post(path, data=fields).location == "/entrar/"
        used = browser.get(path)
        assert used.status_code == 410
        assert "Este enlace ya se usó" in used.text
        assert log_in(app.test_client(), "eva@example.com").status_code == 303
        assert held(app, "eva@example.com") == PRESETS[Role.CASHIER]

    def test_without_a_mail_server_it_is_said_to_wait(self, app: Flask, request: pytest.FixtureRequest) -> None:
        boss = signed_in(app)
        post(boss, "/staff/agregar/", name="Eva", email="eva@example.com", role="cashier")
        assert "no hay servidor de correo" in boss.get("/staff/").text
        asked = app.test_client()
        fields = {"csrf_token": token(asked.get("/entrar/recuperar/").text), "email": "eva@example.com"}
        assert "Ahora no sale ningún correo" in asked.post("/entrar/recuperar/", data=fields).text
        request.getfixturevalue("smtp")
        post(boss, f"/staff/{number(app, 'eva@example.com')}/invitar/")
        assert "Otra invitación va en camino" in boss.get("/staff/").text
        assert "Ahora no sale" not in asked.post("/entrar/recuperar/", data=fields).text

    def test_an_invitation_sent_again_ends_the_one_before(self, app: Flask, smtp: MailServer) -> None:
        boss = signed_in(app)
        post(boss, "/staff/agregar/", name="Eva", email="eva@example.com", role="cashier")
        deliver(app)
        first = link_in(smtp, "eva@example.com")
        post(boss, f"/staff/{number(app, 'eva@example.com')}/invitar/")
        deliver(app)
        assert link_in(smtp, "eva@example.com") != first
        assert app.test_client().get(first).status_code == 410

    def test_nobody_else_reads_the_link_or_has_it_sent_elsewhere(self, app: Flask, smtp: MailServer) -> None:
        boss = signed_in(app)
        post(boss, "/staff/agregar/", name="Eva", email="eva@example.com", role="cashier")
        deliver(app)
        page = boss.get("/correos/1/")
        assert page.status_code == 200
        assert "/entrar/clave/" not in page.text
        assert "no se muestra el texto" in page.text
        post(boss, "/correos/1/reenviar/", recipient="thief@example.com")
        deliver(app)
        assert smtp.addresses() == ["eva@example.com"]

    def test_a_link_cannot_be_made_up(self, app: Flask) -> None:
        make_staff(app)
        with app.app_context(), transaction():
            links.send(service.find("ana@example.com"), links.RESET)
            good = mail.address(session().scalars(sa.select(StaffLink)).one()).rsplit("/", 2)[1]
        for token_text in ("1", good[:-1], "Mg." + good.split(".")[1], f"{good.split('.')[0]}x.{good.split('.')[1]}"):
            assert app.test_client().get(f"/entrar/clave/{token_text}/").status_code == 410, token_text
        assert app.test_client().get(f"/entrar/clave/{good}/").status_code == 200

    def test_a_link_of_before_a_restore_opens_nobody_else_s_account(self, app: Flask) -> None:
        """The restored database gives out the same numbers again, and to whoever asks for a link."""
        make_staff(app)
        make_staff(app, "nada@example.com", "cashier")
        with app.app_context(), transaction() as s:
            link = links.send(service.find("nada@example.com"), links.RESET)
            number, old = link.id, f"/entrar/clave/{mail.address(link).rsplit('/', 2)[1]}/"
            s.delete(link)  # the backup is older
        assert app.test_client().get(old).status_code == 410
        with app.app_context(), transaction() as s:
            again = links.send(service.find("ana@example.com"), links.RESET)
            s.execute(sa.update(StaffLink).values(id=number))
            new = f"/entrar/clave/{mail.address(again).rsplit('/', 2)[1]}/"
        assert app.test_client().get(old).status_code == 410
        assert app.test_client().get(new).status_code == 200

    def test_after_a_restore_every_link_and_session_can_be_ended(self, app: Flask) -> None:
        browser = signed_in(app)
        with app.app_context(), transaction():
            path = mail.address(links.send(service.find("ana@example.com"), links.RESET)).rsplit("/", 2)[1]
        with app.app_context(), transaction():
            links.end_everything()
        assert app.test_client().get(f"/entrar/clave/{path}/").status_code == 410
        assert browser.get("/cuenta/clave/").status_code == 302
        assert log_in(app.test_client(), "ana@example.com").status_code == 303

    def test_another_password_ends_the_links_asked_for_before(self, app: Flask) -> None:
        browser = signed_in(app)
        with app.app_context(), transaction():
            path = mail.address(links.send(service.find("ana@example.com"), links.RESET)).rsplit("/", 2)[1]
        new = "a wholly new password"
        assert post(browser, "/cuenta/clave/", old=PASSWORD, new=new, again=new).status_code == 303
        assert app.test_client().get(f"/entrar/clave/{path}/").status_code == 410

    @pytest.mark.parametrize("fields, words", [
        ({"name": "Eva", "email": "ana@example.com", "role": "cashier"}, "Ya hay"),
        ({"name": "Eva", "email": "eva", "role": "cashier"}, "no es una dirección"),
        ({"name": "Eva", "email": "e va@example.com", "role": "cashier"}, "no es una dirección"),
        ({"name": "Eva", "email": "eva@example.com\nBcc:x", "role": "cashier"}, "no es una dirección"),
        ({"name": "", "email": "eva@example.com", "role": "cashier"}, "aria-invalid"),
        ({"name": "Eva", "email": "eva@example.com", "role": "king"}, "aria-invalid"),
    ])  # fmt: skip
    def test_what_cannot_be_is_said_at_the_field(self, app: Flask, fields: dict[str, str], words: str) -> None:
        answer = post(signed_in(app), "/staff/agregar/", **fields)
        assert answer.status_code == 422
        assert words in answer.text


class TestPermissions:
    """One by one."""

    def test_each_has_a_sentence(self) -> None:
        assert set(HELP) == set(Permission)
        assert {group_of(permission) for permission in Permission} <= {
            "periodic_tasks", "clients", "billing", "routers", "system",
        }  # fmt: skip

    def test_given_and_taken_from_the_next_request(self, app: Flask) -> None:
        boss, other = signed_in(app), signed_in(app, "eva@example.com", "cashier")
        eva = number(app, "eva@example.com")
        page = boss.get(f"/staff/{eva}/permisos/").text
        assert "Activar y Desactivar Tareas Periódicas" in page
        assert page.count("checked") == len(PRESETS[Role.CASHIER])
        assert other.get("/correos/").status_code == 403
        post(boss, f"/staff/{eva}/permisos/", permission=["outbox:view", "clients:view"])
        assert held(app, "eva@example.com") == {"outbox:view", "clients:view"}
        assert other.get("/correos/").status_code == 200
        post(boss, f"/staff/{eva}/permisos/", permission=["clients:view", "fly:high"])
        assert held(app, "eva@example.com") == {"clients:view"}
        assert other.get("/correos/").status_code == 403
        assert actions(app).count("staff.permissions") == 2
        with app.app_context():
            entry = session().scalars(sa.select(audit.AuditEntry).order_by(audit.AuditEntry.id.desc())).first()
            assert (entry.actor, entry.ip) == ("staff:ana@example.com", "127.0.0.1")  # type: ignore[union-attr]
            assert entry.after["taken"] == ["outbox:view"]  # type: ignore[union-attr, index]

    def test_one_without_a_feature_is_not_offered_and_saving_keeps_it(self, app: Flask) -> None:
        boss = signed_in(app)
        make_staff(app, "eva@example.com", "cashier", runs_undo=True)
        eva = number(app, "eva@example.com")
        assert 'value="runs:undo"' not in boss.get(f"/staff/{eva}/permisos/").text
        post(boss, f"/staff/{eva}/permisos/", permission=["clients:view"])
        assert held(app, "eva@example.com") == {"clients:view", "runs:undo"}

    def test_an_old_page_gives_nothing_back(self, app: Flask) -> None:
        """Two administrators at once: what the one takes, the other's open page does not give again."""
        with app.app_context():
            near, far = factories.make_zone(name="Centro"), factories.make_zone(name="Lejos")
        boss, other = signed_in(app), signed_in(app, "bea@example.com")
        make_staff(app, "eva@example.com", "cashier", audit_view=True)
        eva = number(app, "eva@example.com")
        hidden = re.compile(r'name="seen" value="([^"]*)"')
        seen = hidden.search(boss.get(f"/staff/{eva}/permisos/").text)[1]  # type: ignore[index]
        post(other, f"/staff/{eva}/permisos/", permission=["clients:view"])
        late = post(boss, f"/staff/{eva}/permisos/", seen=seen, permission=["audit:view", "clients:view"])
        assert late.status_code == 422
        assert "no se guardó nada" in late.text
        assert late.text.count("checked") == 1
        assert held(app, "eva@example.com") == {"clients:view"}
        seen = hidden.search(late.text)[1]  # type: ignore[index]
        assert post(boss, f"/staff/{eva}/permisos/", seen=seen, permission=["outbox:view"]).status_code == 303
        assert held(app, "eva@example.com") == {"outbox:view"}

        zones = f"/staff/{eva}/zonas/"
        seen = hidden.search(boss.get(zones).text)[1]  # type: ignore[index]
        post(other, zones, limited="yes", zone=[str(near.id)])
        assert post(boss, zones, seen=seen, limited="yes", zone=[str(far.id)]).status_code == 422
        seen = hidden.search(boss.get(zones).text)[1]  # type: ignore[index]
        assert post(boss, zones, seen=seen, limited="no").status_code == 303

    def test_an_old_page_makes_nobody_an_administrator_again(self, app: Flask) -> None:
        boss, other = signed_in(app), signed_in(app, "bea@example.com")
        make_staff(app, "eva@example.com")
        eva = f"/staff/{number(app, 'eva@example.com')}/"
        assert 'name="seen" value="admin"' in boss.get(eva).text
        fields = {"email": "eva@example.com", "name": "Eva", "role": "cashier"}
        assert post(other, eva, **fields).status_code == 303
        late = post(boss, eva, **{**fields, "name": "Eva R.", "role": "admin"}, seen="admin")
        assert late.status_code == 422
        assert "no se guardó nada" in late.text
        assert '<option selected value="cashier">' in late.text
        assert held(app, "eva@example.com") == PRESETS[Role.CASHIER]

    def test_a_preset_fills_in_and_saves_nothing(self, app: Flask) -> None:
        boss = signed_in(app)
        make_staff(app, "eva@example.com", "cashier")
        page = boss.get(f"/staff/{number(app, 'eva@example.com')}/permisos/?preset=finance").text
        assert page.count("checked") == len(PRESETS[Role.FINANCE])
        assert "Aún no guardado" in page
        assert held(app, "eva@example.com") == PRESETS[Role.CASHIER]

    def test_an_administrator_has_all_and_keeps_all(self, app: Flask) -> None:
        boss = signed_in(app)
        make_staff(app, "bea@example.com")
        bea = number(app, "bea@example.com")
        assert "tiene todos los permisos" in boss.get(f"/staff/{bea}/permisos/").text
        assert post(boss, f"/staff/{bea}/permisos/", permission=["clients:view"]).status_code == 422
        assert held(app, "bea@example.com") == set(Permission)


class TestManagers:
    """Whoever manages staff without being an administrator gives nobody more than it has itself."""

    @pytest.fixture
    def manager(self, app: Flask) -> FlaskClient:
        make_staff(app)
        make_staff(app, "caja@example.com", "cashier")
        return signed_in(app, "eva@example.com", "support", staff_manage=True)

    def test_it_makes_no_administrator(self, app: Flask, manager: FlaskClient) -> None:
        page = manager.get("/staff/agregar/").text
        assert 'value="admin"' not in page
        assert 'value="finance"' not in page
        assert 'value="support"' in page
        assert post(manager, "/staff/agregar/", name="X", email="x@example.com", role="admin").status_code == 422
        for who, role in (("eva@example.com", "admin"), ("caja@example.com", "admin")):
            fields = {"name": "X", "email": who, "role": role}
            assert post(manager, f"/staff/{number(app, who)}/", **fields).status_code == 422
        assert held(app, "eva@example.com") == PRESETS[Role.SUPPORT] | {"staff:manage"}

    @pytest.mark.parametrize("target, code", [
        ("ana@example.com", "data"), ("eva@example.com", "role"), ("caja@example.com", "data"),
    ])  # fmt: skip
    def test_it_changes_nobody_who_may_do_more(self, app: Flask, manager: FlaskClient, target: str, code: str) -> None:
        """The cashier takes payments, which support may not: with another address its account could be taken over."""
        user_id = number(app, target)
        role = {"ana@example.com": "admin", "eva@example.com": "technician", "caja@example.com": "cashier"}[target]
        fields = {"name": "X", "email": "thief@example.com", "role": role}
        assert post(manager, f"/staff/{user_id}/", **fields).status_code in (403, 422)
        for action in ("desactivar/", "invitar/", "quitar-segundo-factor/"):
            assert post(manager, f"/staff/{user_id}/{action}").status_code == 403, action
        for action in ("permisos/", "zonas/"):
            assert post(manager, f"/staff/{user_id}/{action}", permission=["runs:undo"]).status_code == 403, action
        with app.app_context():
            assert service.find(target).active

    def test_it_gives_only_what_it_has(self, app: Flask, manager: FlaskClient) -> None:
        make_staff(app, "luis@example.com", "support")
        luis = number(app, "luis@example.com")
        answer = post(manager, f"/staff/{luis}/permisos/", permission=["clients:view", "periodic_tasks:toggle"])
        assert answer.status_code == 403
        assert held(app, "luis@example.com") == PRESETS[Role.SUPPORT]
        assert post(manager, f"/staff/{luis}/permisos/", permission=["clients:view"]).status_code == 303
        assert held(app, "luis@example.com") == {"clients:view"}

    def test_nobody_changes_the_own_standing_but_the_own_name(self, app: Flask) -> None:
        boss = signed_in(app)
        ana = number(app, "ana@example.com")
        assert post(boss, f"/staff/{ana}/desactivar/").status_code == 403
        assert post(boss, f"/staff/{ana}/", name="Ana", email="ana@example.com", role="cashier").status_code == 403
        assert (
            post(
                boss, f"/staff/{ana}/", name="Ana T.", email="ana.t@example.com", role="admin", password=PASSWORD
            ).status_code
            == 303
        )
        assert "Ana T." in boss.get("/staff/").text


class TestZones:
    """The limit to some zones."""

    def test_only_the_chosen_zones_are_seen(self, app: Flask) -> None:
        with app.app_context():
            near, far = factories.make_zone(name="Centro"), factories.make_zone(name="Lejos")
            factories.make_client(near, code="CERCA", name="Cercana")
            factories.make_client(far, code="LEJOS", name="Lejana")
        boss, other = signed_in(app), signed_in(app, "eva@example.com", "support")
        eva = number(app, "eva@example.com")
        assert other.get("/clientes/LEJOS/").status_code == 200
        assert post(boss, f"/staff/{eva}/zonas/", limited="yes").status_code == 422
        assert post(boss, f"/staff/{eva}/zonas/", limited="yes", zone=["999"]).status_code == 422
        assert post(boss, f"/staff/{eva}/zonas/", limited="yes", zone=[str(near.id)]).status_code == 303
        assert "Centro" in boss.get("/staff/").text
        assert other.get("/clientes/LEJOS/").status_code == 404
        assert other.get("/clientes/CERCA/").status_code == 200
        assert "Lejana" not in other.get("/clientes/").text
        post(boss, f"/staff/{eva}/zonas/", limited="no")
        assert other.get("/clientes/LEJOS/").status_code == 200
        assert actions(app).count("staff.zones") == 2

    def test_limited_to_nothing_is_nothing(self, app: Flask) -> None:
        with app.app_context():
            factories.make_client(code="UNO", name="Unica")
        other = signed_in(app, "eva@example.com", "support")
        with app.app_context(), transaction():
            service.find("eva@example.com").limited = True
        assert "Unica" not in other.get("/clientes/").text
        assert other.get("/clientes/UNO/").status_code == 404

    def test_an_administrator_is_never_limited(self, app: Flask) -> None:
        with app.app_context():
            zone = factories.make_zone()
        boss = signed_in(app)
        make_staff(app, "bea@example.com")
        answer = post(boss, f"/staff/{number(app, 'bea@example.com')}/zonas/", limited="yes", zone=[str(zone.id)])
        assert answer.status_code in (303, 422)
        with app.app_context():
            assert not service.find("bea@example.com").limited

    def test_a_limited_manager_gives_no_more_than_it_sees(self, app: Flask) -> None:
        with app.app_context():
            near, far = factories.make_zone(name="Centro"), factories.make_zone(name="Lejos")
        manager = signed_in(app, "eva@example.com", "support", staff_manage=True)
        make_staff(app, "luis@example.com", "support")
        with app.app_context(), transaction():
            everyone = service.COMMAND_LINE
            changes.set_zones(service.find("eva@example.com").id, True, [near.id], everyone)
            changes.set_zones(service.find("luis@example.com").id, True, [near.id], everyone)
        luis = number(app, "luis@example.com")
        assert "Lejos" not in manager.get(f"/staff/{luis}/zonas/").text
        assert post(manager, f"/staff/{luis}/zonas/", limited="no").status_code == 403
        assert post(manager, f"/staff/{luis}/zonas/", limited="yes", zone=[str(far.id)]).status_code in (403, 422)
        post(manager, "/staff/agregar/", name="Nuevo", email="nuevo@example.com", role="support")
        with app.app_context():
            made = service.find("nuevo@example.com")
            assert made.limited
            assert [zone.zone_id for zone in made.zones] == [near.id]


def test_deactivated_is_out_and_its_links_end(app: Flask) -> None:
    boss, other = signed_in(app), signed_in(app, "eva@example.com", "cashier")
    eva = number(app, "eva@example.com")
    with app.app_context(), transaction():
        links.send(service.find("eva@example.com"), links.RESET)
        path = "/entrar/clave/" + mail.address(session().scalars(sa.select(StaffLink)).one()).rsplit("/", 2)[1] + "/"
    assert app.test_client().get(path).status_code == 200
    assert post(boss, f"/staff/{eva}/desactivar/").status_code == 303
    assert other.get("/cuenta/clave/").status_code == 302
    assert app.test_client().get(path).status_code == 410
    assert post(boss, f"/staff/{eva}/activar/").status_code == 303
    assert log_in(app.test_client(), "eva@example.com").status_code == 303
    assert app.test_client().get(path).status_code == 410


def test_an_invited_administrator_does_not_count_as_one_yet(app: Flask) -> None:
    make_staff(app)
    with app.app_context(), transaction():
        service.invite("bea@example.com", "Bea", "admin")
    with app.app_context(), pytest.raises(Refused) as refused, transaction():
        service.set_active("ana@example.com", False)
    assert refused.value.code == "staff.last_admin"


def test_another_address_is_another_log_in_and_ends_the_links(app: Flask) -> None:
    boss = signed_in(app)
    make_staff(app, "eva@example.com", "cashier")
    eva = number(app, "eva@example.com")
    with app.app_context(), transaction():
        links.send(service.find("eva@example.com"), links.RESET)
    assert post(boss, f"/staff/{eva}/", name="Eva", email="e@example.com", role="support").status_code == 303
    with app.app_context():
        assert session().scalars(sa.select(StaffLink)).one().used_at is not None
        kinds = session().execute(sa.select(Message.kind, Message.recipient).order_by(Message.id)).all()
        assert [tuple(row) for row in kinds] == [
            ("password_reset", "eva@example.com"), ("staff_address_changed", "eva@example.com"),
        ]  # fmt: skip
    assert held(app, "e@example.com") == PRESETS[Role.SUPPORT]


def test_the_own_address_needs_the_password(app: Flask, smtp: MailServer) -> None:
    """A browser that was left alone is not enough to take the account by a reset."""
    boss = signed_in(app)
    own = f"/staff/{number(app, 'ana@example.com')}/"
    fields = {"name": "Ana", "email": "thief@example.com", "role": "admin"}
    assert post(boss, own, **fields).status_code == 422
    assert "La contraseña" in post(boss, own, **fields, password="not it").text
    assert post(boss, own, **{**fields, "email": "ana@example.com", "name": "Ana T."}).status_code == 303
    assert post(boss, own, **fields, password=PASSWORD).status_code == 303
    deliver(app)
    assert smtp.addresses() == ["ana@example.com"]
    assert "thief@example.com" in smtp.messages[0].message.as_string()


def test_nobody_changes_a_peer(app: Flask) -> None:
    """With a peer's address one would act under the peer's name."""
    manager = signed_in(app, "luis@example.com", "support", staff_manage=True)
    make_staff(app, "eva@example.com", "support", staff_manage=True)
    make_staff(app, "ines@example.com", "support")
    eva, ines = number(app, "eva@example.com"), number(app, "ines@example.com")
    assert post(manager, f"/staff/{eva}/", name="E", email="e@example.com", role="support").status_code == 403
    assert post(manager, f"/staff/{ines}/", name="I", email="i@example.com", role="support").status_code == 303


def test_nobody_there_is_404(app: Flask) -> None:
    boss = signed_in(app)
    for part in ("", "permisos/", "zonas/"):
        assert boss.get(f"/staff/99/{part}").status_code == 404
    assert post(boss, "/staff/99/desactivar/").status_code == 404


def test_the_list_is_sorted_paged_and_exported(app: Flask) -> None:
    boss = signed_in(app)
    with app.app_context(), transaction():
        for n in range(55):
            service.invite(f"p{n:02}@example.com", f"Íñigo {n:02}", "cashier")
        service.find("p07@example.com").active = False
        service.find("p08@example.com").name = "=SUM(1)"
    order = lambda text: [int(found) for found in re.findall(r'<tr id="staff-(\d+)"', text)]  # noqa: E731
    first, second = order(boss.get("/staff/?sort=name").text), order(boss.get("/staff/?sort=name&page=2").text)
    assert (len(first), len(second)) == (50, 6)
    assert not set(first) & set(second)
    back = order(boss.get("/staff/?sort=-name").text)
    assert back[:6] == second[::-1]
    assert order(boss.get("/staff/?sort=-login").text)[0] == number(app, "ana@example.com")
    assert order(boss.get("/staff/").text)[0] == number(app, "ana@example.com")
    assert order(boss.get("/staff/?state=off").text) == [number(app, "p07@example.com")]
    assert len(order(boss.get("/staff/?q=inigo 1").text)) == 10
    fragment = boss.get("/staff/?sort=name", headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text
    assert fragment.lstrip().startswith('<div id="staff-table"')
    assert "sort=-name" in fragment
    lines = list(csv.DictReader(io.StringIO(boss.get("/staff/exportar.csv").data.decode("utf-8-sig"))))
    assert len(lines) == 56
    by_mail = {line["Correo"]: line for line in lines}
    assert by_mail["p08@example.com"]["Nombre"] == "'=SUM(1)"
    assert by_mail["p07@example.com"]["Estado"] == "Desactivado"
    assert by_mail["p09@example.com"]["Permisos"] == "Ver los clientes, Ver las facturas, Registrar pagos"
    assert by_mail["ana@example.com"]["Permisos"] == "Todos"
    assert "p01" not in boss.get("/staff/exportar.csv?q=p02").text


def test_the_list_names_no_zone_that_the_reader_does_not_see(app: Flask) -> None:
    with app.app_context():
        near, far = factories.make_zone(name="Centro"), factories.make_zone(name="Lejos")
    manager = signed_in(app, "eva@example.com", "support", staff_manage=True)
    make_staff(app, "luis@example.com", "support")
    with app.app_context(), transaction():
        changes.set_zones(service.find("eva@example.com").id, True, [near.id], service.COMMAND_LINE)
        changes.set_zones(service.find("luis@example.com").id, True, [near.id, far.id], service.COMMAND_LINE)
    for address in ("/staff/", "/staff/exportar.csv"):
        text = manager.get(address).text
        assert "Centro, otras (1)" in text
        assert "Lejos" not in text


def test_the_list_is_searched_and_filtered(app: Flask) -> None:
    boss = signed_in(app)
    make_staff(app, "luis@example.com", "support")
    assert "luis@example.com" not in boss.get("/staff/?q=ana").text
    text = boss.get("/staff/?role=support").text
    assert "luis@example.com" in text
    assert "Nadie coincide" in boss.get("/staff/?q=zzz").text
