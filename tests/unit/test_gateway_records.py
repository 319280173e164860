"""What the router's words mean, and that secrets stay where they are."""

import pytest

from wisp.gateway import Command, ErrorCode, Resource, Status, Target, canonical_address
from wisp.gateway.errors import trap_code
from wisp.gateway.records import status_of_trap
from wisp.gateway.tls import normalised


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("failure: already have such entry", Status.exists),
        ("failure: already have such name", Status.exists),
        ("failure: secret with the same name already exists", Status.exists),
        ("failure: already have user with this name for this server", Status.exists),
        ("failure: already have static lease with this IP address", Status.exists),
        ("failure: already have static lease for this client", Status.exists),
        ("failure: user with the same name already exisits", Status.exists),
        ("no such item", Status.gone),
        ("no such item (4)", Status.gone),
        ("no such command prefix", Status.failed),
        ("not enough permissions (9)", Status.failed),
        ("failure: 2001:db8::1 is not a valid dns name", Status.failed),
        ("", Status.failed),
    ],
)
def test_errors_are_told_apart_by_their_text(text: str, status: Status) -> None:
    assert status_of_trap(text) is status


def test_a_missing_permission_has_its_own_code() -> None:
    assert trap_code("not enough permissions (9)") is ErrorCode.permission
    assert trap_code("failure: already have such entry") is ErrorCode.trap


def test_the_password_is_not_shown() -> None:
    assert "hunter2" not in repr(Target("192.0.2.1", 8728, "wisp", "hunter2"))


@pytest.mark.parametrize(
    ("version", "release"),
    [("7.20.6 (stable)", (7, 20, 6)), ("6.49.19 (long-term)", (6, 49, 19)), ("7.9", (7, 9)), ("", ())],
)
def test_the_version_can_be_compared(version: str, release: tuple[int, ...]) -> None:
    assert Resource(version, "", "", None).release == release


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        ("10.0.0.7/32", "10.0.0.7"),
        ("10.0.0.7", "10.0.0.7"),
        ("10.0.0.7/24", "10.0.0.0/24"),
        ("2001:DB8:0::7/128", "2001:db8::7"),
        ("2001:db8::/64", "2001:db8::/64"),
        ("10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9"),
        ("pay.example.net", "pay.example.net"),
    ],
)
def test_one_host_has_one_address(address: str, canonical: str) -> None:
    assert canonical_address(address) == canonical


def test_a_command_becomes_words() -> None:
    command = Command("/queue/simple/set", {".id": "*1", "name": "a=b"}, ("?name",))
    assert command.words() == ("/queue/simple/set", "=.id=*1", "=name=a=b", "?name")


def test_fingerprints_compare_however_they_are_written() -> None:
    assert normalised("AB:cd 01") == "abcd01"
