"""What makes the program wait for another machine while a person waits for the page: one such look at a time for each
person, so that nobody takes all threads away from the others."""

from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any

from flask import Response
from flask_babel import gettext as _
from flask_login import current_user

from wisp.web.errors import problem

_waiting: set[int] = set()
_lock = Lock()


def one_at_a_time(view: Callable[..., Response]) -> Callable[..., Response]:
    """For views that wait for a network: a second one of the same person, in this process, is answered with 429."""

    @wraps(view)
    def alone(*args: Any, **kwargs: Any) -> Response:
        person = current_user.id
        with _lock:
            busy = person in _waiting
            _waiting.add(person)
        if busy:
            return problem(429, _("Your last test is still under way"), _("Wait for its answer, then try again."))
        try:
            return view(*args, **kwargs)
        finally:
            with _lock:
                _waiting.discard(person)

    return alone
