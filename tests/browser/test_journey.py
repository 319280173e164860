"""The main job as a person sees it: the demo's real processes, a browser, a router that goes off and comes back."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import ROOT, until
from wisp.core.process import following
from wisp.demo import mailbox
from wisp.demo.connections import attachment

pytestmark = pytest.mark.browser
CLIENTS = 5000
WITHOUT_EMAIL = CLIENTS // 100
OWING = CLIENTS // 5
NORTH = range(1, CLIENTS // 2 + 1)
SECONDS = 1000  # of Playwright's milliseconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """``make demo`` on a free port: its address and its folder. Ends with everything it started."""
    folder, port = tmp_path_factory.mktemp("demo"), free_port()
    environment = {**os.environ, "PORT": str(port), "WISP_DATA": str(folder), "CLIENTS": str(CLIENTS)}
    with (folder / "launch.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "wisp.demo.launch"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
            stdout=log, stderr=subprocess.STDOUT, preexec_fn=following(signal.SIGTERM),
        )  # fmt: skip
    try:
        until(lambda: "Ctrl-C" in (folder / "launch.log").read_text() or process.poll() is not None, 90)
        assert process.poll() is None, (folder / "launch.log").read_text()
        yield f"http://127.0.0.1:{port}", folder
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


class Tasks:
    """The page "Tareas periódicas" in a browser."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def open(self) -> None:
        self.page.goto("/tareas-periodicas/")

    def row(self, kind: str, zone: str) -> Any:
        row = self.page.locator("tr[id^=task-]").filter(has_text=kind)
        return row.filter(has=self.page.locator(f"td[data-label=Zona]:has-text('{zone}')"))

    def apply(self, kind: str, zone: str) -> None:
        """ "Aplicar ahora", read the question, confirm."""
        self.row(kind, zone).locator(".wisp-actions button").first.click()
        self.page.wait_for_selector("#dialog[open] #plan-confirm")
        self.page.click("#plan-confirm")
        self.page.wait_for_selector("#dialog:not([open])", state="attached")

    def result(self, kind: str, zone: str, text: str, seconds: int = 60) -> str:
        """Wait until the row's result says ``text``; all of the row's text."""
        row = self.row(kind, zone)
        row.locator(f"td[data-label=Resultado]:has-text('{text}')").wait_for(timeout=seconds * SECONDS)
        return str(row.inner_text())


def number_in(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in {text!r}"
    return int(found[1].replace(",", ""))


def listed(page: Any, name: str) -> int:
    """How many entries stand in that list, as the demo's page of the router shows it."""
    page.goto("/demo/router/")
    row = page.locator("#demo-router tbody tr").filter(has_text=name)
    return number_in(row.inner_text(), r"([\d,]+)\s*$") if row.count() else 0


def by_user(numbers: range) -> int:
    """How many of those who owe are cut by switching their hotspot user off, since they have no address to list."""
    found = (attachment(number) for number in numbers if number % 5 == 0)
    return sum(one.connection == "hotspot" and not one.address for one in found)


def switched_off(page: Any) -> int:
    """How many hotspot users are switched off on the router."""
    page.goto("/demo/router/")
    row = page.locator("#demo-menus tbody tr").filter(has_text="/ip/hotspot/user")
    return number_in(row.inner_text(), r"([\d,]+)\s*$")


def switch(page: Any, state: str) -> None:
    page.goto("/demo/router/")
    page.click(f"#router-{state}")
    page.wait_for_selector(f"#router-{state}[aria-pressed=true]")


@pytest.mark.timeout(400)
def test_a_month_of_the_demo_company(demo: tuple[str, Path], browser: Any) -> None:
    address, folder = demo
    context = browser.new_context(base_url=address, locale="es-MX", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("/entrar/")
    page.fill("#email", "admin@demo.example")
    page.fill("#password", "demostracion")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/")
    tasks = Tasks(page)

    # the tasks of both zones
    tasks.open()
    assert page.locator("tr[id^=task-]").count() == 6
    for zone in ("Norte", "Sur"):
        for kind in ("Creación de facturas", "Avisos en pantalla", "Corte de servicio"):
            assert tasks.row(kind, zone).count() == 1

    # invoices: one each, progress on the row, an e-mail each for those who have an address
    created = 0
    for zone in ("Norte", "Sur"):
        tasks.apply("Creación de facturas", zone)
        created += number_in(
            tasks.result("Creación de facturas", zone, "facturas creadas"), r"([\d,]+) facturas creadas"
        )
    assert created == CLIENTS
    until(lambda: len(mailbox.kept(folder / "mail")) == CLIENTS - WITHOUT_EMAIL, 120)

    # again: nothing twice
    tasks.apply("Creación de facturas", "Norte")
    again = tasks.result("Creación de facturas", "Norte", "ya facturad")
    assert "facturas creadas" not in again or number_in(again, r"([\d,]+) facturas creadas") == 0

    # without the rules that act on the lists nobody would be notified or cut
    page.goto("/router/1/reglas/")
    page.click("button:has-text('Instalar')")
    page.click("#confirm [value=yes]")
    page.wait_for_selector("#rules-order:has-text('Instaladas y comprobadas')", timeout=60 * SECONDS)

    # notice and cut: entries on the router, beside those that somebody else has put there
    foreign = {name: listed(page, name) for name in ("wisp-notice", "wisp-overdue")}
    tasks.open()
    tasks.apply("Avisos en pantalla", "Norte")
    notified = number_in(tasks.result("Avisos en pantalla", "Norte", "aviso"), r"([\d,]+) avisos? ")
    assert notified > OWING // 4
    until(lambda: listed(page, "wisp-notice") == foreign["wisp-notice"] + notified, 30)  # some dial in again first
    tasks.open()
    tasks.apply("Corte de servicio", "Norte")
    cut = number_in(tasks.result("Corte de servicio", "Norte", "cortados"), r"([\d,]+) cortados")
    off = by_user(NORTH)
    assert off > 0
    until(lambda: listed(page, "wisp-overdue") == foreign["wisp-overdue"] + cut - off, 30)
    assert switched_off(page) == off
    assert listed(page, "wisp-notice") == foreign["wisp-notice"] + notified - cut

    # the router off: all wait, the run says so, one alert names zone and router
    switch(page, "off")
    tasks.open()
    tasks.apply("Corte de servicio", "Sur")
    waiting = tasks.result("Corte de servicio", "Sur", "esperan")
    assert number_in(waiting, r"([\d,]+) esperan") == OWING - cut
    alerts = until(lambda: [m for m in mailbox.kept(folder / "mail") if "alertas@" in m.to], 60)
    assert len(alerts) == 1
    raw = mailbox.text_of(mailbox.read(folder / "mail", alerts[0].number))
    assert "Sur" in raw
    assert "Torre Norte" in raw

    # on again: done by itself
    switch(page, "on")
    tasks.open()
    done = tasks.result("Corte de servicio", "Sur", "cortados", seconds=150)
    assert number_in(done, r"([\d,]+) cortados") == OWING - cut
    off = by_user(range(1, CLIENTS + 1))
    until(lambda: listed(page, "wisp-overdue") == foreign["wisp-overdue"] + OWING - off, 30)
    assert switched_off(page) == off
    assert errors == []
    context.close()
