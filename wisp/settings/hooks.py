"""What higher slices do for the settings page; the factory fills it in."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class TrialResult:
    """How a test e-mail went: ``text`` says it in the present language, ``detail`` is the server's own answer."""

    ok: bool
    text: str = ""
    detail: str = ""


mail_trial: Callable[[str], TrialResult] | None = None
"""Sends a test e-mail to an address at once and waits for the answer. Opens its own transactions."""
