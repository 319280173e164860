"""Listening in on what is said to a router: for the log that people read. Secrets never reach it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

SECRETS = ("password", "response", "secret", "key", "passphrase", "private-key", "otp-secret")
HIDDEN = "•••"
Sentence = Sequence[str]
"""The words of what was sent; of what was received all of it as it came, for its reader."""
Reader = Callable[[Sentence], list[str]]
"""Gives the words of a sentence, without tag, secrets hidden: done only where somebody reads them, for of most
conversations the middle is never kept."""
Listener = Callable[[str, Sequence[Sentence], Reader], None]
"""(direction, sentences, reader): ``>`` sent, ``<`` received."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell ``listener`` every sentence of the connections that are opened inside the block, by this thread."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def present() -> Listener | None:
    """Who listens now, if anybody."""
    return _listener.get()


def readable(words: Iterable[str]) -> list[str]:
    """The words without the tag, and without what is secret."""
    return [_hidden(word) for word in words if not word.startswith(".tag=")]


def _hidden(word: str) -> str:
    name, separator, _value = word.removeprefix("=").removeprefix("?").partition("=")
    if not separator or name not in SECRETS:
        return word
    return f"{word[: word.index(name)]}{name}={HIDDEN}"
