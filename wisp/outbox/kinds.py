"""The kinds of e-mail: each with the function that makes its text, filled by the slices that own them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from wisp.outbox.models import BULK, URGENT, Message


@dataclass(frozen=True)
class Attachment:
    """A file that goes with an e-mail."""

    filename: str
    content_type: str
    data: bytes


@dataclass(frozen=True)
class Rendered:
    """The text of an e-mail in the recipient's language."""

    subject: str
    text: str
    html: str
    attachments: Sequence[Attachment] = ()


class CannotRender(Exception):
    """What the e-mail is about is gone or was voided: nothing will be sent, the message ends as failed.

    The argument is a code of ``wisp.outbox.texts``.
    """


@dataclass(frozen=True)
class Kind:
    """``load`` reads for many messages at once what ``render`` then needs for each. ``private``: its text is for the
    recipient's eyes only, so no page shows it."""

    render: Callable[..., Rendered]
    load: Callable[[Sequence[Message]], Any] | None
    priority: int
    private: bool = False


_kinds: dict[str, Kind] = {}


def register_kind(
    kind: str,
    renderer: Callable[..., Rendered],
    *,
    load: Callable[[Sequence[Message]], Any] | None = None,
    urgent: bool = True,
    private: bool = False,
) -> None:
    """Say who makes the text of ``kind``. ``renderer(message)``, or ``renderer(message, context)`` where ``load`` is
    given: ``context = load(messages)`` is read once for a batch. Both run with the message's language forced
    (``load``: the company's) and may not write. ``urgent`` False: goes behind all that is urgent.
    ``private``: no page shows the text (it holds a link that opens something)."""
    _kinds[kind] = Kind(renderer, load, URGENT if urgent else BULK, private)


def find(kind: str) -> Kind | None:
    """The registered kind."""
    return _kinds.get(kind)


def names() -> list[str]:
    """All registered kinds, in the order in which they came."""
    return list(_kinds)


def priority(kind: str) -> int:
    """Where messages of ``kind`` stand in the queue."""
    found = _kinds.get(kind)
    return found.priority if found else BULK
