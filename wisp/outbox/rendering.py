"""From a row to the text of an e-mail, in the language of who reads it."""

import logging
import textwrap
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from babel import Locale, dates
from flask import current_app
from flask_babel import force_locale

from wisp.core import clock, money
from wisp.core.locales import formatting_locale, language_or
from wisp.outbox import kinds
from wisp.outbox.domain import plausible_address, recipients
from wisp.outbox.kinds import CannotRender, Rendered
from wisp.outbox.models import Message
from wisp.outbox.transport import Letter, MailSettings, message_id
from wisp.settings.service import company

WIDTH = 72
log = logging.getLogger(__name__)


@lru_cache(4096)
def _money(minor: int, currency: str, locale: Locale) -> str:
    return money.format_money(minor, currency, locale).replace("\xa0", " ")


@lru_cache(512)
def _day(day: date, locale: Locale) -> str:
    return dates.format_date(day, "long", locale=locale)


class Formats:
    """Amounts, dates and moments as people of the company's country write them in a message's language.

    Dates and moments may be given as ISO text, which is how a row's ``data`` holds them.
    """

    def __init__(self, message: Message) -> None:
        firm = company()
        self._locale = formatting_locale(message.language, firm.currency)
        self._currency = firm.currency
        self._timezone = clock.zone(firm.timezone)

    def money(self, minor: int, currency: str | None = None) -> str:
        """Minor units as an amount, in a plain line of text (no space that an old mail program shows as a sign)."""
        return _money(minor, currency or self._currency, self._locale)

    def day(self, day: date | str) -> str:
        """A date: 20 de noviembre de 2026."""
        found = date.fromisoformat(day) if isinstance(day, str) else day
        return _day(found, self._locale)

    def month(self, day: date | str) -> str:
        """A billing month: noviembre de 2026."""
        found = date.fromisoformat(day) if isinstance(day, str) else day
        return dates.format_skeleton("yMMMM", found, locale=self._locale)

    def moment(self, moment: datetime | str) -> str:
        """A date with its hour in the company's time zone."""
        found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        local = found.astimezone(self._timezone)
        return f"{self.day(local.date())} {local:%H:%M}"


def compose(template: str, message: Message, subject: str, **values: Any) -> Rendered:
    """The text from ``emails/<template>.txt`` and ``.html``; to be called by a renderer, in the message's language.

    The templates get ``values``, ``subject``, ``company``, ``language`` and what ``Formats`` offers.
    """
    formats = Formats(message)
    context = {
        "money": formats.money, "day": formats.day, "month": formats.month, "moment": formats.moment,
        "subject": subject, "company": company(), "language": language_or(message.language), **values,
    }  # fmt: skip
    templates = current_app.jinja_env
    text = templates.get_template(f"emails/{template}.txt").render(context)
    html = templates.get_template(f"emails/{template}.html").render(context)
    return Rendered(subject, wrap(text), html)


def wrap(text: str, width: int = WIDTH) -> str:
    """``text`` in lines of at most ``width`` signs where it can be broken (a long address stays whole), with at most
    one empty line in a row."""
    lines: list[str] = []
    for line in text.strip().splitlines():
        if len(line) <= width:
            if line.strip() or (lines and lines[-1]):
                lines.append(line.rstrip())
            continue
        indent = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(
            line.strip(), width, initial_indent=indent, subsequent_indent=indent,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    return "\n".join(lines) + "\n"


class Outgoing(NamedTuple):
    """One row made ready: its letter, or why there is none. ``error`` with ``final`` False: tried again later."""

    id: int
    subject: str
    letter: Letter | None
    error: str = ""
    final: bool = False


def preview(message: Message) -> Rendered:
    """The text of one message as it would be sent now. Raises CannotRender (``private``: it is for its
    recipient only), or what its renderer raises."""
    kind = kinds.find(message.kind)
    if kind is None:
        raise CannotRender("unknown_kind")
    if kind.private:
        raise CannotRender("private")
    return _render(kind, message, _load(kind, [message]))


def make_letters(messages: Sequence[Message], settings: MailSettings) -> list[Outgoing]:
    """Each row's letter, in the order of ``messages``. Reads only; what many messages need is read once for all."""
    groups: dict[str, list[Message]] = defaultdict(list)
    for message in messages:
        groups[message.kind].append(message)
    ready: dict[int, Outgoing] = {}
    firm = company()  # held, so that the renderers find it without another query
    for name, group in groups.items():
        kind = kinds.find(name)
        try:
            context = _load(kind, group)
        except Exception as error:
            log.exception("reading for e-mails of kind %s failed", name)
            ready |= {message.id: Outgoing(message.id, "", None, _failure(error)) for message in group}
            continue
        for message in group:
            ready[message.id] = _letter(kind, message, context, settings)
    del firm
    return [ready[message.id] for message in messages]


def _load(kind: kinds.Kind | None, group: Sequence[Message]) -> Any:
    return kind.load(group) if kind is not None and kind.load is not None else None


def _render(kind: kinds.Kind, message: Message, context: Any) -> Rendered:
    with force_locale(language_or(message.language)):
        return kind.render(message, context) if kind.load is not None else kind.render(message)


def _letter(kind: kinds.Kind | None, message: Message, context: Any, settings: MailSettings) -> Outgoing:
    if not any(map(plausible_address, recipients(message.recipient))):
        return Outgoing(message.id, message.subject, None, "bad_address", final=True)
    if kind is None:
        return Outgoing(message.id, message.subject, None, "unknown_kind")
    try:
        content = _render(kind, message, context)
        letter = Letter(settings, message.recipient, message_id(message), content)
    except CannotRender as error:
        return Outgoing(message.id, message.subject, None, str(error), final=True)
    except Exception as error:  # a fault of ours: the message waits until it is mended
        log.exception("e-mail %s of kind %s could not be made", message.id, message.kind)
        return Outgoing(message.id, message.subject, None, _failure(error))
    return Outgoing(message.id, content.subject[:300], letter)


def _failure(error: Exception) -> str:
    return f"cannot_render: {type(error).__name__}: {error}"[:500]
