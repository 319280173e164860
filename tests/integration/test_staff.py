"""Staff: rules, page, commands."""

import json
from typing import Any

import pytest
from flask import Flask

from tests.factories import make_zone
from tests.support.staff import PASSWORD, make_staff, signed_in
from wisp.core import audit
from wisp.core.db import session, transaction
from wisp.core.errors import Refused
from wisp.core.permissions import PRESETS, Permission, Role
from wisp.outbox.models import Message
from wisp.staff import links, passwords, service
from wisp.staff.models import StaffLink
from wisp.staff.texts import PERMISSIONS, ROLES


def run(app: Flask, *arguments: str, stdin: str = "") -> Any:
    return app.test_cli_runner().invoke(args=["staff", *arguments], input=stdin)


def refused(app: Flask, call: Any, *arguments: Any) -> str:
    with app.app_context(), pytest.raises(Refused) as error, transaction():
        call(*arguments)
    return error.value.code


class TestRules:
    """What the service allows."""

    def test_a_role_is_the_start_and_an_administrator_has_all(self, ctx: Flask) -> None:
        with transaction():
            for role in Role:
                user = service.create(f"{role}@example.com", role, role, PASSWORD)
                assert service.permissions_of(user) == PRESETS[role]
        assert service.permissions_of(service.find("admin@example.com")) == frozenset(Permission)

    def test_only_administrators_may_switch_periodic_tasks_by_default(self) -> None:
        holders = {role for role, preset in PRESETS.items() if Permission.PERIODIC_TASKS_TOGGLE in preset}
        assert holders == {Role.ADMIN}

    def test_the_password_is_stored_as_argon2id(self, ctx: Flask) -> None:
        with transaction():
            user = service.create("ana@example.com", "Ana", "admin", PASSWORD)
        assert user.password_hash.startswith("$argon2id$")
        assert service.authenticate("ANA@example.com ", PASSWORD) is user
        assert service.authenticate("ana@example.com", PASSWORD + "x") is None
        assert service.authenticate("nobody@example.com", PASSWORD) is None
        assert not passwords.matches("", "nobody's password")

    def test_an_address_is_taken_once_whatever_its_capitals(self, app: Flask) -> None:
        make_staff(app)
        assert refused(app, service.create, "ANA@example.com", "Ana", "admin", PASSWORD) == "staff.taken"

    @pytest.mark.parametrize("values, code", [
        (("no-address", "Ana", "admin", PASSWORD), "staff.email"),
        (("a@example.com", " ", "admin", PASSWORD), "staff.name"),
        (("a@example.com", "Ana", "king", PASSWORD), "staff.role"),
        (("a@example.com", "Ana", "admin", "short"), "staff.password_short"),
        (("a@example.com", "Ana", "admin", "x" * 201), "staff.password_long"),
        (("a@example.com", "Ana", "admin", "A@example.com"), "staff.password_is_email"),
        (("a@example.com", "Ana", "admin", "contraseña123"), "staff.password_common"),
    ])  # fmt: skip
    def test_what_cannot_be_is_refused(self, app: Flask, values: tuple[str, ...], code: str) -> None:
        assert refused(app, service.create, *values) == code

    def test_grants_are_written_down(self, ctx: Flask) -> None:
        with transaction():
            service.create("eva@example.com", "Eva", "cashier", PASSWORD)
            assert service.grant("eva@example.com", "runs:undo") is True
            assert service.grant("eva@example.com", "runs:undo") is False
            assert service.revoke("eva@example.com", "clients:view") is True
            assert service.revoke("eva@example.com", "clients:view") is False
        session().expire_all()
        wanted = PRESETS[Role.CASHIER] | {Permission.RUNS_UNDO} - {Permission.CLIENTS_VIEW}
        assert service.permissions_of(service.find("eva@example.com")) == wanted - {Permission.CLIENTS_VIEW}
        actions = [entry.action for entry in session().query(audit.AuditEntry).order_by(audit.AuditEntry.id)]
        assert actions == ["staff.create", "staff.grant", "staff.revoke"]

    def test_nothing_of_an_administrator_can_be_revoked(self, app: Flask) -> None:
        make_staff(app)
        assert refused(app, service.revoke, "ana@example.com", "runs:undo") == "staff.admin_has_all"

    def test_the_last_administrator_stays(self, app: Flask) -> None:
        make_staff(app)
        make_staff(app, "luis@example.com", "finance")
        assert refused(app, service.set_active, "ana@example.com", False) == "staff.last_admin"
        make_staff(app, "bea@example.com")
        with app.app_context(), transaction():
            service.set_active("ana@example.com", False)
        assert refused(app, service.set_active, "bea@example.com", False) == "staff.last_admin"

    def test_every_permission_and_role_has_a_name(self) -> None:
        assert set(PERMISSIONS) == set(Permission)
        assert set(ROLES) == set(Role)


def test_the_page_lists_everybody_with_the_words_of_the_manual(app: Flask) -> None:
    client = signed_in(app)
    make_staff(app, "luis@example.com", "support", periodic_tasks_toggle=True)
    text = client.get("/staff/").text
    assert "luis@example.com" in text
    assert "Soporte" in text
    assert "Activar y Desactivar Tareas Periódicas" in text


class TestCommand:
    """``flask staff``."""

    def test_add_grant_revoke_list(self, app: Flask) -> None:
        arguments = ("--email", "Eva@example.com", "--name", "Eva", "--role", "cashier", "--password-stdin")
        added = run(app, "add", *arguments, "--json", stdin=PASSWORD + "\n")
        assert added.exit_code == 0, added.output
        answer = json.loads(added.stdout)
        assert (answer["email"], answer["role"], answer["active"]) == ("eva@example.com", "cashier", True)
        assert run(app, "grant", "eva@example.com", "runs:undo").exit_code == 0
        assert run(app, "revoke", "eva@example.com", "clients:view").exit_code == 0
        (eva,) = json.loads(run(app, "list", "--json").stdout)
        assert "runs:undo" in eva["permissions"]
        assert "clients:view" not in eva["permissions"]
        assert "eva@example.com" in run(app, "list").stdout
        with app.app_context():
            assert service.authenticate("eva@example.com", PASSWORD) is not None
            assert session().query(audit.AuditEntry).first().actor.startswith("cli:")  # type: ignore[union-attr]

    def test_a_password_from_the_command_line_ends_sessions_and_links(self, app: Flask) -> None:
        browser = signed_in(app)
        with app.app_context(), transaction():
            link = links.send(service.find("ana@example.com"), links.RESET).id
        assert run(app, "password", "ana@example.com", "--password-stdin", stdin="short\n").exit_code == 1
        assert run(app, "password", "nobody@example.com", "--password-stdin", stdin=PASSWORD).exit_code == 1
        assert browser.get("/cuenta/clave/").status_code == 200
        done = run(app, "password", "ana@example.com", "--password-stdin", stdin="a wholly new password\n")
        assert done.exit_code == 0, done.output
        assert "a wholly new password" not in done.output
        assert browser.get("/cuenta/clave/").status_code == 302
        with app.app_context():
            assert service.authenticate("ana@example.com", "a wholly new password") is not None
            assert session().get_one(StaffLink, link).used_at is not None

    def test_name_and_address_change(self, app: Flask) -> None:
        make_staff(app)
        changed = run(app, "edit", "ana@example.com", "--name", "Ana T.", "--email", "Ana.T@example.com", "--json")
        assert (json.loads(changed.stdout)["email"], json.loads(changed.stdout)["name"]) == (
            "ana.t@example.com",
            "Ana T.",
        )
        assert run(app, "edit", "ana.t@example.com").exit_code == 2
        assert run(app, "edit", "ana.t@example.com", "--email", "no address").exit_code == 1

    def test_the_audit_log_is_listed(self, app: Flask) -> None:
        make_staff(app)
        run(app, "grant", "ana@example.com", "runs:undo")
        make_staff(app, "eva@example.com", "cashier")
        run(app, "grant", "eva@example.com", "runs:undo")
        audited = app.test_cli_runner().invoke(args=["audit", "list", "--actor", "cli:", "--json"])
        (entry,) = json.loads(audited.stdout)
        assert (entry["action"], entry["target"]) == ("staff.grant", "staff:eva@example.com")
        assert entry["after"] == {"permission": "runs:undo"}
        never = app.test_cli_runner().invoke(args=["audit", "list", "--until", "2001-01-01", "--json"])
        assert json.loads(never.stdout) == []
        assert app.test_cli_runner().invoke(args=["audit", "list", "--since", "yesterday"]).exit_code == 2

    @pytest.mark.parametrize("arguments, stdin, words", [
        (["add", "--email", "e@e.mx", "--name", "E", "--role", "admin", "--password-stdin"], "", "password"),
        (["add", "--email", "e@e.mx", "--name", "E", "--role", "admin", "--password-stdin"], "short\n", "10"),
        (["grant", "nobody@e.mx", "runs:undo"], "", "nobody@e.mx"),
        (["grant", "ana@example.com", "fly:high"], "", "fly:high"),
        (["revoke", "ana@example.com", "runs:undo"], "", "ana@example.com"),
    ])  # fmt: skip
    def test_a_refusal_is_one_line_and_exit_1(self, app: Flask, arguments: list[str], stdin: str, words: str) -> None:
        make_staff(app)
        result = run(app, *arguments, stdin=stdin)
        assert result.exit_code == 1
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
        assert PASSWORD not in result.output

    def test_wrong_usage_is_exit_2(self, app: Flask) -> None:
        role = ("--email", "e@e.mx", "--name", "E", "--role", "king", "--password-stdin")
        assert run(app, "add", *role, stdin=PASSWORD).exit_code == 2
        assert run(app, "add", "--email", "e@e.mx", "--name", "E", "--role", "admin").exit_code == 2

    def test_what_the_pages_can_the_commands_can(self, app: Flask) -> None:
        make_staff(app)
        with app.app_context():
            make_zone(name="Centro")
        invited = ("invite", "--email", "eva@example.com", "--name", "Eva", "--role", "cashier")
        assert run(app, *invited).exit_code == 0
        assert run(app, *invited).exit_code == 1
        assert run(app, "role", "eva@example.com", "support").exit_code == 0
        assert run(app, "zones", "eva@example.com").exit_code == 2
        assert run(app, "zones", "eva@example.com", "Nada").exit_code == 1
        answer = json.loads(run(app, "zones", "eva@example.com", "Centro", "--json").stdout)
        assert (answer["role"], answer["zones"]) == ("support", ["Centro"])
        assert json.loads(run(app, "zones", "eva@example.com", "--all", "--json").stdout)["zones"] is None
        assert json.loads(run(app, "deactivate", "eva@example.com", "--json").stdout)["active"] is False
        assert json.loads(run(app, "activate", "eva@example.com", "--json").stdout)["active"] is True
        assert run(app, "deactivate", "ana@example.com").exit_code == 1
        assert run(app, "role", "ana@example.com", "cashier").exit_code == 1
        assert run(app, "second-factor", "ana@example.com", "off").exit_code == 0
        with app.app_context():
            (message,) = session().query(Message).all()
            assert (message.kind, message.recipient) == ("invitation", "eva@example.com")
