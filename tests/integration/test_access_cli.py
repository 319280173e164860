"""``flask routers sync`` and ``flask routers diff``."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from tests.support.access import CUT, NOTICE, Site
from wisp.core import queue
from wisp.core.db import session
from wisp.demo.routeros import SimulatorServer
from wisp.routers.models import Router


@pytest.fixture
def site(ctx: Flask) -> Iterator[Site]:
    with SimulatorServer() as server:
        made = Site(server)
        yield made
        made.close()


def flask(app: Flask, *words: str) -> tuple[int, Any, str]:
    """Exit code, the JSON document on stdout (or its text), and stderr."""
    result = app.test_cli_runner().invoke(args=[*words])
    out = json.loads(result.stdout) if "--json" in words and result.stdout else result.stdout
    return result.exit_code, out, result.stderr


def name_of(site: Site) -> str:
    return session().get_one(Router, site.router_id).name


def test_sync_waits_for_the_router(site: Site, ctx: Flask) -> None:
    site.cut()
    queue.connection().flushdb()
    code, out, _ = flask(ctx, "routers", "sync", name_of(site), "--wait", "--json")
    assert code == 0
    assert (out["state"], out["unsettled"], out["order"]) == ("done", 0, 2)
    site.agree()


def test_sync_without_waiting_is_an_order(site: Site, ctx: Flask) -> None:
    site.cut()
    code, out, _ = flask(ctx, "routers", "sync", name_of(site), "--json")
    assert (code, out["state"], site.reports) == (0, "ordered", [])
    queue.drain()
    site.agree()


def test_sync_of_a_router_that_is_off_fails_and_says_what_waits(site: Site, ctx: Flask) -> None:
    site.cut()
    site.server.switch(off=True)
    code, out, error = flask(ctx, "routers", "sync", name_of(site), "--wait", "--json")
    assert code == 1
    assert (out["state"], out["unsettled"], out["error"]) == ("failed", 3, "refused")
    assert name_of(site) in error
    assert error.strip().count("\n") == 0


def test_a_person_does_not_wait_for_the_pause_to_end(site: Site, ctx: Flask) -> None:
    site.server.switch(off=True)
    site.cut()
    site.sync()
    site.server.switch(off=False)
    assert flask(ctx, "routers", "sync", name_of(site), "--wait")[0] == 0
    site.agree()


def test_diff_reads_the_router_and_changes_nothing(site: Site, ctx: Flask) -> None:
    first, second, third = (site.client(i) for i in site.clients)
    name = name_of(site)
    site.load(
        {"list": CUT, "address": first.address or "", "comment": f"wisp:{first.code}"},
        {"list": NOTICE, "address": "10.1.1.1", "comment": "wisp:NADIE"},
        {"list": CUT, "address": third.address or "", "comment": f"wisp:{third.code}", "disabled": "true"},
        {"list": CUT, "address": "10.1.1.2", "comment": "de otro"},
        {"list": NOTICE, "address": "10.1.1.3"},
    )
    before = site.entries()
    site.cut()
    code, out, _ = flask(ctx, "routers", "diff", name, "--json")
    assert code == 0
    assert out == {
        "router": name,
        "missing": [
            {"list": CUT, "address": second.address, "client": second.code},
            {"list": CUT, "address": third.address, "client": third.code},
        ],
        "extra": [{"list": NOTICE, "address": "10.1.1.1", "client": "NADIE"}],
        "foreign": 2,
    }
    assert site.entries() == before
    site.sync()
    assert flask(ctx, "routers", "diff", name, "--json")[1] == {
        "router": name, "missing": [], "extra": [], "foreign": 2,
    }  # fmt: skip


@pytest.mark.parametrize("switch", ["off", "wrong_password"])
def test_diff_of_a_router_that_cannot_be_read(site: Site, ctx: Flask, switch: str) -> None:
    site.server.switch(**{switch: True})
    code, _, error = flask(ctx, "routers", "diff", name_of(site), "--json")
    assert code == 1
    assert name_of(site) in error


@pytest.mark.parametrize("command", ["sync", "diff"])
def test_an_unknown_router(site: Site, ctx: Flask, command: str) -> None:
    code, out, error = flask(ctx, "routers", command, "Nadie", "--json")
    assert (code, out) == (1, "")
    assert "Nadie" in error
