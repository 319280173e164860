"""``flask tasks``: waiting for a run that was ordered before, and clients that there are not."""

import json
from typing import Any

import pytest
from flask import Flask

from tests.factories import make_client, make_invoice, make_router, make_zone
from tests.support.billing import NOTICE, forget, listed, order, task_of
from wisp.core import clock, queue
from wisp.demo.routeros import SimulatorServer
from wisp.tasks import runner

pytestmark = pytest.mark.usefixtures("ctx")


def flask(app: Flask, *words: str) -> tuple[int, Any, str]:
    """Exit code, the JSON document on stdout, and stderr."""
    result = app.test_cli_runner().invoke(args=[*words, "--json"])
    forget()
    return result.exit_code, json.loads(result.stdout) if result.stdout else None, result.stderr


def test_waiting_for_a_run_that_is_queued_already_does_it(app: Flask) -> None:
    zone = make_zone()
    make_client(zone)
    task_id = str(task_of(zone).id)
    _, first, _ = flask(app, "tasks", "apply", task_id)
    assert first["state"] == "queued"
    queue.connection().flushdb()
    code, run, _ = flask(app, "tasks", "apply", task_id, "--wait")
    assert (code, run["id"], run["state"], run["invoiced"]) == (0, first["id"], "success", 1)


def test_waiting_for_a_run_that_waits_for_its_router_does_it(app: Flask, router_sim: SimulatorServer) -> None:
    zone = make_zone(make_router(host=router_sim.host, port=router_sim.port))
    make_invoice(make_client(zone, code="C1"), due=clock.now().date())
    run_id = order(zone, "notice")
    runner.work(run_id)
    queue.connection().flushdb()
    code, run, _ = flask(app, "tasks", "apply", str(task_of(zone, "notice").id), "--wait")
    assert (code, run["id"], run["state"], run["notified"]) == (0, run_id, "success", 1)
    assert list(listed(router_sim, NOTICE).values()) == ["wisp:C1"]


@pytest.mark.parametrize("words", [["list", "--client", "NONE"], ["apply", "{task}", "--hold", "NONE"]])
def test_a_client_that_there_is_not_is_named(app: Flask, words: list[str]) -> None:
    task_id = task_of(make_zone()).id
    code, out, error = flask(app, "tasks", *[word.format(task=task_id) for word in words])
    assert (code, out, error.count("\n")) == (1, None, 1)
    assert "NONE" in error
