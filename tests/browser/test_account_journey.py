"""From the invitation to the recovery codes, as a person walks it; each page is looked at by axe, at both widths, light
and dark."""

from typing import Any

import pyotp
import pytest
from flask import Flask

from tests.factories import make_company
from tests.support import axe
from tests.support.mail import MailServer
from tests.support.staff import PASSWORD, make_staff
from tests.web.test_staff_pages import deliver, link_in
from wisp.core import clock
from wisp.core.db import transaction
from wisp.staff import service
from wisp.staff.models import StaffUser

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]
EVA = "eva@example.com"
NEW = "otra frase larga y secreta"


def type_in(page: Any, **fields: str) -> None:
    """Fill in the form of the page and send it with Enter."""
    for name, text in fields.items():
        page.fill(f"main #{name}", text)
    page.keyboard.press("Enter")


def log_in(page: Any, email: str, password: str = PASSWORD) -> None:
    page.goto("/entrar/")
    type_in(page, email=email, password=password)


def log_out(page: Any) -> None:
    page.click(".wisp-me-button")
    page.click("text=Cerrar sesión")
    page.wait_for_url("**/entrar/")


def forget_used_codes(app: Flask) -> None:
    """As if half a minute had passed: the phone's next code is a new one."""
    with app.app_context(), transaction() as s:
        s.get_one(StaffUser, service.find(EVA).id).totp_step = 0


def invited(app: Flask, page: Any, smtp: MailServer) -> str:
    """An administrator adds Eva on the page; the link that she gets."""
    make_staff(app)
    log_in(page, "ana@example.com")
    page.wait_for_url(lambda url: "/entrar/" not in url)
    page.goto("/staff/")
    page.click("text=Invitar a alguien")
    axe.check(page)
    page.select_option("#role", "cashier")
    type_in(page, name="Eva Ruiz", email=EVA)
    page.wait_for_url("**/permisos/")
    axe.check(page)
    page.click("nav[aria-label=Secciones] >> text=Datos")
    axe.check(page)
    page.goto("/staff/")
    assert "Invitado" in page.inner_text("#staff-table")
    axe.check(page)
    log_out(page)
    deliver(app)
    return link_in(smtp, EVA)


def turned_on(page: Any) -> tuple[pyotp.TOTP, list[str]]:
    """Scan, type the code and the password; the phone and the recovery codes."""
    page.goto("/cuenta/segundo-factor/")
    axe.check(page)
    phone = pyotp.TOTP(page.inner_text("main ol code").replace(" ", ""))
    type_in(page, password=PASSWORD, code="000000")
    page.wait_for_selector("#code[aria-invalid=true]")
    axe.glance(page)
    type_in(page, password=PASSWORD, code=phone.at(clock.now()))
    page.wait_for_selector("#recovery-codes")
    axe.check(page)
    codes = page.locator("#recovery-codes li").all_inner_texts()
    page.click("text=Ya los guardé")
    page.wait_for_selector("text=La verificación en dos pasos está activada")
    axe.check(page)
    return phone, codes


def test_from_the_invitation_to_the_recovery_code(app: Flask, page: Any, smtp: MailServer) -> None:
    with app.app_context():
        make_company(name="Red del Valle")
    page.goto(invited(app, page, smtp))
    assert EVA in page.inner_text("main")
    axe.check(page)
    type_in(page, new="corta", again="corta")
    page.wait_for_selector("#new[aria-invalid=true]")
    axe.glance(page)
    type_in(page, new=PASSWORD, again=PASSWORD)
    page.wait_for_selector("text=Ya puede entrar con ella")

    type_in(page, email=EVA, password=PASSWORD)
    page.wait_for_selector(".wisp-me-button")
    phone, codes = turned_on(page)
    page.goto("/cuenta/sesiones/")
    assert page.locator("text=Este navegador").count() == 1
    axe.check(page)
    log_out(page)

    forget_used_codes(app)
    page.goto("/cuenta/sesiones/")  # lost: the log-in leads back here, through the second step
    type_in(page, email=EVA, password=PASSWORD)
    page.wait_for_url("**/entrar/codigo/")
    axe.check(page)
    type_in(page, code="111111")
    page.wait_for_selector("main [role=alert]")
    axe.glance(page)
    type_in(page, code=phone.at(clock.now()))
    page.wait_for_url("**/cuenta/sesiones/")
    log_out(page)

    log_in(page, EVA)
    page.wait_for_url("**/entrar/codigo/")
    type_in(page, code=codes[0])
    page.wait_for_selector(".wisp-me-button")
    page.goto("/cuenta/segundo-factor/")
    assert "9 de 10" in page.inner_text("main")


def test_a_forgotten_password_is_chosen_anew(app: Flask, page: Any, smtp: MailServer) -> None:
    make_staff(app, EVA, "cashier")
    log_in(page, EVA, "no me acuerdo")
    page.wait_for_selector("main [role=alert]")
    axe.glance(page)
    page.click("text=¿Olvidó su contraseña?")
    axe.check(page)
    type_in(page, email=EVA)
    page.wait_for_selector("main [role=status]")
    axe.check(page)
    deliver(app)
    link = link_in(smtp, EVA)
    page.goto(link)
    type_in(page, new=NEW, again=NEW)
    page.wait_for_url("**/entrar/")
    page.goto(link)
    assert "Este enlace ya se usó" in page.inner_text("main")
    axe.check(page)
    log_in(page, EVA, NEW)
    page.wait_for_selector(".wisp-me-button")
    page.goto("/cuenta/clave/")
    axe.check(page)


def test_the_audit_page_reads_well(app: Flask, page: Any) -> None:
    make_staff(app)
    make_staff(app, EVA, "cashier", outbox_view=True)
    log_in(page, "ana@example.com")
    page.wait_for_url(lambda url: "/entrar/" not in url)
    page.goto("/auditoria/")
    for summary in page.locator("#audit-table summary").all():
        summary.click()
    assert "Permiso\nVer los correos" in page.inner_text("#audit-table")
    axe.check(page)
