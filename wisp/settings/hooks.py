"""What higher slices do for the settings page; the factory fills it in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrialResult:
    """How a test e-mail went: ``text`` says it in the present language, ``detail`` is the server's own answer."""

    ok: bool
    text: str = ""
    detail: str = ""


mail_present: Callable[[], Any] | None = None
"""The mail settings in force, to be given to ``mail_changed`` once others are saved."""
mail_changed: Callable[[Any], None] | None = None
"""Tells the administrators at once of a change, by the mail settings from before it. Opens its own transactions."""
mail_trial: Callable[[str], TrialResult] | None = None
"""Sends a test e-mail to an address at once and waits for the answer. Opens its own transactions."""
