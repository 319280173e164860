"""``flask payments``, over a real connection to a simulated router."""

import json
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from tests.factories import make_client, make_invoice
from tests.support.access import Site
from wisp.core import clock
from wisp.core.db import session
from wisp.invoices.models import Payment


@pytest.fixture
def site(app, router_sim):
    """Three clients that owe 350.00 since yesterday, cut on the router."""
    with app.app_context():
        site = Site(router_sim)
        site.cut()
        site.sync()
        assert len(site.ours()) == 3
        yield site
        site.close()


@pytest.fixture
def run(app):
    """Call a command as a person does: (exit code, stdout, stderr)."""

    def call(*args):
        answer = app.test_cli_runner().invoke(args=list(args))
        return answer.exit_code, answer.stdout, answer.stderr

    return call


def code_of(site, n=0):
    return site.client(site.clients[n]).code


def add(run, code, amount, *options):
    exit_code, out, err = run(
        "payments", "add", "--client", code, "--amount", amount, "--method", "cash", *options, "--json"
    )
    assert exit_code == 0, err
    return json.loads(out)


def test_a_payment_that_waits_for_the_router_gives_the_service_back(site, run, smtp):
    code = code_of(site)
    answer = add(run, code, "400.00", "--reference", "F-1", "--wait")
    assert {"client": code, "amount": "400.00", "applied": "350.00", "credit": "50.00"}.items() <= answer.items()
    assert answer["reactivated"] == "yes"
    assert {comment for _list, _address, comment in site.ours()} == {f"wisp:{code_of(site, n)}" for n in (1, 2)}
    site.agree()
    assert smtp.addresses() == [site.client(site.clients[0]).email]


def test_without_waiting_the_router_is_left_to_the_worker(site, run):
    answer = add(run, code_of(site), "350")
    assert answer["reactivated"] == "waiting"
    assert len(site.ours()) == 3
    site.sync()
    assert len(site.ours()) == 2


def test_with_the_router_off_the_answer_says_so_and_nothing_is_lost(site, run, router_sim):
    router_sim.switch(off=True)
    answer = add(run, code_of(site), "350.00", "--wait")
    assert (answer["applied"], answer["reactivated"]) == ("350.00", "waiting")
    router_sim.switch(off=False)
    site.sync()
    assert len(site.ours()) == 2


def test_only_register_leaves_the_entry_on_the_router(site, run):
    answer = add(run, code_of(site), "350.00", "--no-activate", "--wait")
    assert (answer["applied"], answer["reactivated"]) == ("350.00", "no")
    assert len(site.ours()) == 3
    assert site.access(site.clients[0]).keep
    site.order()
    site.sync()
    assert len(site.ours()) == 3


def test_a_client_that_was_not_cut_is_not_reactivated(site, run):
    (new,) = site.add(1)
    assert add(run, site.client(new).code, "350.00", "--wait")["reactivated"] == "no"


def test_a_repeated_reference_needs_a_word_and_too_much_is_credit(ctx, run):
    client = make_client(code="C1")
    make_invoice(client)
    paid = ("payments", "add", "--client", "C1", "--amount", "$1,350.50", "--method", "transfer", "--reference", "F 7")
    exit_code, out, _err = run(*paid, "--json")
    assert (exit_code, json.loads(out)["credit"]) == (0, "1000.50")
    exit_code, out, err = run(*paid[:-1], "f-7")
    assert (exit_code, out) == (1, "")
    assert "1" in err
    assert "C1" in err
    assert run(*paid, "--duplicate")[0] == 0


@pytest.mark.parametrize(
    ("amount", "why"), [("0", ""), ("-5", "-5"), ("1.234", "1.234"), ("abc", "abc"), ("1,55,5", "1,55,5")]
)
def test_an_amount_that_cannot_be_is_refused_in_one_line(ctx, run, amount, why):
    code = make_client().code
    exit_code, out, err = run("payments", "add", "--client", code, f"--amount={amount}", "--method", "cash", "--json")
    assert exit_code == 1
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert why in err
    assert session().scalar(sa.select(sa.func.count()).select_from(Payment)) == 0


def test_an_unknown_client_or_method(ctx, run):
    code = make_client().code
    assert run("payments", "add", "--client", "nobody", "--amount", "1", "--method", "cash")[0] == 1
    assert run("payments", "add", "--client", code, "--amount", "1", "--method", "shells")[0] == 2


def test_a_promise_gives_the_service_back(site, run):
    until = (clock.now().date() + timedelta(days=3)).isoformat()
    exit_code, out, err = run("payments", "promise", "--client", code_of(site), "--until", until, "--wait", "--json")
    assert exit_code == 0, err
    answer = json.loads(out)
    assert (answer["until"], answer["reactivated"]) == (until, "yes")
    assert len(site.ours()) == 2
    exit_code, _out, err = run("payments", "promise", "--client", code_of(site), "--until", "2020-01-01")
    assert exit_code == 1
    assert len(err.strip().splitlines()) == 1


def test_voiding_an_invoice_on_the_command_line_gives_the_service_back(site, run):
    client = site.client(site.add(1, owing=False)[0])
    make_invoice(client, due=date(2026, 1, 20))
    make_invoice(client, due=date(2026, 2, 20))
    site.cut([client.id])
    site.sync()
    exit_code, out, _err = run("invoices", "list", "--client", client.code, "--json")
    assert exit_code == 0
    numbers = [invoice["number"] for invoice in json.loads(out)]
    assert len(numbers) == 2
    for number in numbers:
        exit_code, out, err = run("invoices", "void", number, "--why", "never installed", "--json")
        assert exit_code == 0, err
        assert {"number": number, "state": "void", "balance": "0.00"}.items() <= json.loads(out).items()
    assert f"wisp:{client.code}" in {entry[2] for entry in site.ours()}
    site.sync()
    assert {entry[2] for entry in site.ours()} == {f"wisp:{code_of(site, n)}" for n in range(3)}
    assert run("invoices", "void", numbers[0], "--why", "again")[0] == 1
