"""The simulated router as a client from npm sees it: other language, other authors, tags on every command, and text as
the Windows code page that operators' tools write."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wisp.demo.routeros import Router, SimulatorServer
from wisp.gateway import Target, connect

LISTS = "/ip/firewall/address-list"
SCRIPT = Path(__file__).parents[1] / "support" / "routeros.cjs"
NODE = Path(sys.executable).parent / "node"


def talk(router: Router, *rounds: list[list[str]], password: str = "secret") -> Any:
    """The answers to some rounds of requests; those of one round are sent at once."""
    with SimulatorServer(router) as server:
        said = json.dumps({"port": server.port, "password": password, "rounds": rounds})
        done = subprocess.run([NODE, SCRIPT], input=said, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise ConnectionError(done.stderr)
    return json.loads(done.stdout)


@pytest.mark.parametrize("version", ["6.42.9", "6.49.19 (long-term)", "7.20.6 (stable)"])
def test_it_logs_in_and_is_refused(version: str) -> None:
    router = Router(users={"wisp": "secret"}, version=version)
    assert talk(router, [["/system/identity/print"]]) == [[{"rows": [{"name": "MikroTik"}]}]]
    with pytest.raises(ConnectionError, match=r"(?i)cannot|invalid|login|password"):
        talk(router, [["/system/identity/print"]], password="wrong")


@pytest.mark.parametrize("version", ["6.49.19 (long-term)", "7.20.6 (stable)"])
def test_it_adds_reads_asks_changes_and_removes(version: str) -> None:
    router = Router(users={"wisp": "secret"}, version=version)
    added = ["=list=Morosos", "=address=10.0.0.7/32", "=comment=Peña · señal"]
    answers = talk(
        router,
        [[f"{LISTS}/add", *added]],
        [[f"{LISTS}/add", *added]],
        [
            [f"{LISTS}/print"],
            [f"{LISTS}/print", "?list=nobody"],
            [f"{LISTS}/print", "?list=Morosos", "=.proplist=address"],
        ],
        [[f"{LISTS}/set", "=.id=*1", "=disabled=yes"]],
        [[f"{LISTS}/print", "?disabled=true", "=.proplist=.id"], [f"{LISTS}/print", "=count-only="]],
        [[f"{LISTS}/remove", "=.id=*1"]],
        [[f"{LISTS}/remove", "=.id=*1"], ["/nonsense/print"]],
        [[f"{LISTS}/print"]],
    )
    add, twice, (everything, nobody, some), changed, (off, count), removed, (gone, unknown), rest = answers
    assert add == [{"rows": [{"ret": "*1"}]}]
    assert twice == [{"error": "failure: already have such entry"}]
    row = everything["rows"][0]
    assert (row[".id"], row["list"], row["address"], row["comment"]) == ("*1", "Morosos", "10.0.0.7", "Peña · señal")
    assert nobody == {"rows": []}
    assert some == {"rows": [{"address": "10.0.0.7"}]}
    assert changed == removed == [{"rows": []}]
    assert off == {"rows": [{".id": "*1"}]}
    assert count == {"rows": [{"ret": "1"}]}
    assert gone["error"].startswith("no such item")
    assert unknown["error"].startswith("no such command")
    assert rest == [{"rows": []}]


def test_the_bytes_of_a_comment_stay_as_they_were_written() -> None:
    router = Router(users={"wisp": "secret"})
    router.load(LISTS, [{"list": "a", "address": "10.0.0.1", "comment": "señal"}])
    added = [f"{LISTS}/add", "=list=a", "=address=10.0.0.2", "=comment=Peña 5 €"]
    answers = talk(router, [added], [[f"{LISTS}/print", "=.proplist=comment"]])
    as_utf8, as_code_page = (row["comment"] for row in answers[1][0]["rows"])
    assert as_utf8 == "señal".encode().decode("cp1252")
    assert as_code_page == "Peña 5 €"
    with SimulatorServer(router) as server:
        target = Target(server.host, server.port, "wisp", "secret", connect_timeout=2.0, reply_timeout=2.0)
        with connect(target, deadline=10.0) as connection:
            assert [entry.comment for entry in connection.read_lists(["a"])] == ["señal", "Peña 5 €"]


@pytest.mark.parametrize("everything", [False, True])
def test_nothing_to_answer_is_said_as_new_versions_say_it(everything: bool) -> None:
    router = Router(users={"wisp": "secret"}, version="7.20.6 (stable)", empty_all=everything)
    rows = [[f"{LISTS}/add", "=list=a", f"=address=10.0.{n // 250}.{n % 250}"] for n in range(400)]
    answers = talk(
        router,
        [[f"{LISTS}/print"]],
        rows,
        [[f"{LISTS}/remove", f"=.id={','.join(f'*{n:X}' for n in range(1, 400))}"]],
        [[f"{LISTS}/print", "=.proplist=address"], [f"{LISTS}/print", "?address=10.9.9.9"]],
    )
    assert answers[0] == [{"rows": []}]
    assert {answer["rows"][0]["ret"] for answer in answers[1]} == {f"*{n:X}" for n in range(1, 401)}
    assert answers[2] == [{"rows": []}]
    assert answers[3] == [{"rows": [{"address": "10.0.1.149"}]}, {"rows": []}]
