"""The frame in a real browser: dialog, messages, confirmation, lost session, keyboard, dark mode, phone."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from tests.support.staff import PASSWORD, make_staff
from wisp.core.db import transaction
from wisp.staff import service

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]


MAIL = re.compile(r"//[^/]+/ajustes/correo/$")


@pytest.fixture
def inside(app: Flask, page: Any) -> Iterator[Any]:
    """The page, logged in through the form."""
    make_staff(app)
    page.goto("/entrar/?next=/ajustes/correo/")
    page.fill("#email", "ana@example.com")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(MAIL)
    return page


def test_the_form_answers_in_place_and_the_focus_is_on_what_is_wrong(inside: Any) -> None:
    inside.fill("#address", "nobody")
    inside.evaluate("document.body.dataset.probe = 'same page'")
    inside.click("#trial button")
    inside.wait_for_selector("#address[aria-invalid=true]")
    inside.wait_for_selector("#address:focus")
    assert inside.get_attribute("#address", "aria-describedby") == "address-error"
    assert inside.evaluate("document.body.dataset.probe") == "same page"


def test_a_lost_session_leads_to_the_log_in_and_back(app: Flask, inside: Any) -> None:
    with app.app_context(), transaction():
        service.find("ana@example.com").session_epoch += 1
    inside.fill("#address", "dueno@example.com")
    inside.click("#trial button")
    inside.wait_for_url(re.compile("/entrar/"))
    assert "next=/ajustes/correo/" in inside.url
    inside.fill("#email", "ana@example.com")
    inside.fill("#password", PASSWORD)
    inside.keyboard.press("Enter")
    inside.wait_for_url(MAIL)


def test_the_dialog_opens_closes_with_escape_and_gives_the_focus_back(inside: Any) -> None:
    inside.evaluate("""() => {
        const link = document.createElement('a');
        link.id = 'opener'; link.href = '/cuenta/clave/'; link.textContent = 'open';
        for (const [name, value] of [['hx-get', '/cuenta/clave/'], ['hx-target', '#dialog-body'],
                                     ['hx-select', 'form.wisp-narrow']]) link.setAttribute(name, value);
        document.querySelector('main').prepend(link); htmx.process(link);
    }""")
    inside.focus("#opener")
    inside.keyboard.press("Enter")
    inside.wait_for_selector("#dialog[open] input[name=old]")
    inside.keyboard.press("Escape")
    inside.wait_for_selector("#dialog", state="hidden")
    inside.wait_for_selector("#opener:focus")
    assert inside.inner_html("#dialog-body") == ""


@pytest.mark.parametrize("answer, sent", [("yes", 1), ("no", 0)])
def test_a_question_is_asked_before_what_it_guards(inside: Any, answer: str, sent: int) -> None:
    requests: list[str] = []
    inside.on("request", lambda request: requests.append(request.url) if request.method == "POST" else None)
    inside.evaluate("""() => {
        const form = document.getElementById('trial');
        form.setAttribute('hx-confirm', '¿Enviar?'); form.dataset.confirmLabel = 'Enviar';
        htmx.process(form);
    }""")
    inside.fill("#address", "nobody")
    inside.click("#trial button")
    inside.wait_for_selector("#confirm[open]")
    assert inside.inner_text("#confirm [data-confirm-text]") == "¿Enviar?"
    assert inside.inner_text("#confirm [value=yes]") == "Enviar"
    inside.click(f"#confirm [value={answer}]")
    inside.wait_for_selector("#confirm", state="hidden")
    if sent:
        inside.wait_for_selector("#address[aria-invalid=true]")
    assert len(requests) == sent
    if not sent:
        inside.click("#trial button")  # the queue of the form is free again
        inside.wait_for_selector("#confirm[open]")


def test_messages_are_announced_and_bad_ones_stay(inside: Any) -> None:
    inside.evaluate("""() => { for (const [text, kind] of [['<b>Listo</b>', 'success'], ['Malo', 'danger']])
        document.dispatchEvent(new CustomEvent('toast', {detail: {text, kind}})); }""")
    assert inside.get_attribute("#toasts", "aria-live") == "polite"
    assert inside.locator("#toasts .toast").count() == 2
    assert "<b>Listo</b>" in inside.inner_text("#toasts")
    inside.click("#toasts [data-kind=danger] [data-toast-close]")
    inside.wait_for_selector("#toasts [data-kind=danger]", state="detached")


def test_the_appearance_is_kept(inside: Any) -> None:
    assert inside.get_attribute("html", "data-bs-theme") == "light"
    inside.emulate_media(color_scheme="dark")
    inside.wait_for_selector("html[data-bs-theme=dark]")
    inside.click(".wisp-me-button")
    inside.click("[data-set-theme=light]")
    inside.wait_for_selector("html[data-bs-theme=light]")
    inside.reload()
    assert inside.get_attribute("html", "data-bs-theme") == "light"
    assert inside.get_attribute("html", "data-appearance") == "light"


def test_the_menu_works_at_phone_width(inside: Any) -> None:
    inside.set_viewport_size({"width": 390, "height": 844})
    assert not inside.is_visible("text=Personal")
    inside.click(".navbar-toggler")
    inside.click("nav >> text=Personal")
    inside.wait_for_url("**/staff/")
    overflow = inside.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0


def test_the_keyboard_reaches_the_content_first(inside: Any) -> None:
    inside.goto("/staff/")
    inside.keyboard.press("Tab")
    assert inside.evaluate("document.activeElement.textContent") == "Saltar al contenido"
    inside.keyboard.press("Enter")
    inside.wait_for_selector("#main:focus")


def test_the_server_away_is_said_once(inside: Any, live: str) -> None:
    inside.route("**/correo/prueba/", lambda route: route.abort())
    inside.fill("#address", "dueno@example.com")
    inside.click("#trial button")
    inside.wait_for_selector("#toasts [data-kind=danger]")
    inside.click("#trial button")
    inside.wait_for_timeout(200)
    assert inside.locator("#toasts [data-kind=danger]").count() == 1
    assert "No hay conexión con el servidor" in inside.inner_text("#toasts")


def test_two_clicks_send_a_plain_form_once(inside: Any) -> None:
    inside.goto("/planes/nuevo/")
    inside.fill("#name", "Hogar")
    inside.fill("#price", "350")
    sent = inside.evaluate(
        """() => {
            let sent = 0;
            document.addEventListener("submit", (event) => {
                sent += event.defaultPrevented ? 0 : 1;
                event.preventDefault();
            });
            const button = document.querySelector("main form [type=submit]");
            button.click();
            button.click();
            return sent;
        }"""
    )
    assert sent == 1
