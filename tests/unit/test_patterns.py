"""No pattern that may meet what somebody typed takes ever longer over a text that almost fits."""

import ast
import itertools
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import wisp
from wisp.settings import domain

SECONDS = 20
"""Of the processor's time, for all texts together; an exponential pattern would take years."""
LENGTH = 254
BEGINNINGS = ("", "a@", "{", "1")
REPEATED = ("a", "0", "-", ".", "a.", "a-", "0.", " ", ",", ":")
ENDINGS = ("", "!", "\n")


def patterns() -> dict[str, re.Pattern[str]]:
    """Every pattern that is written in the program's source as a constant, or built from constants of its module."""
    found: dict[str, re.Pattern[str]] = {}
    for file in sorted(Path(wisp.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Attribute)):
                continue
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "re":
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found[first.value] = re.compile(first.value)
    for name, value in vars(domain).items():
        if isinstance(value, re.Pattern):
            found[name] = value
    return found


@pytest.fixture(name="deadline")
def _deadline() -> Iterator[None]:
    def late(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


def tried(pattern: re.Pattern[str]) -> None:
    for start, unit, end in itertools.product(BEGINNINGS, REPEATED, ENDINGS):
        text = (start + unit * LENGTH)[:LENGTH] + end
        pattern.fullmatch(text)
        pattern.search(text)


def test_no_text_holds_a_pattern_up(deadline: None) -> None:
    known = patterns()
    assert len(known) > 20
    current: Any = None
    try:
        for name, current in known.items():  # noqa: B007 - named where it is late
            tried(current)
    except TimeoutError:
        pytest.fail(f"{name}: {current.pattern}")


@pytest.mark.parametrize("address", ["a@b", "a@b.mx", "ana.lopez+x@red-del-valle.example.com", "a@b.mx."])
def test_an_address_is_taken(address: str) -> None:
    assert domain.check_address(f" {address} ") == address


@pytest.mark.parametrize(
    "address", ["a", "@b.mx", "a@", "a@-b.mx", "a@b-.mx", "a@b..mx", "a@é.mx", "a b@c.mx", "a@.mx", "ñ@b.mx"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(domain.Invalid):
        domain.check_address(address)
