"""The log of the last synchronisations of each router: what was sent and answered, secrets hidden."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from wisp.access.models import RouterTalk
from wisp.core import clock
from wisp.core.db import session
from wisp.gateway import Reader, Sentence, listening

LINES = 300
"""Sentences kept of one synchronisation: half of them the first, half the last."""
LENGTH = 300
"""Characters kept of a sentence."""
KEPT = 10
"""Synchronisations kept of a router."""


class Transcript:
    """What is said while it listens. Of a long conversation the middle is left out."""

    def __init__(self) -> None:
        self._head: list[tuple[str, Reader, Sentence]] = []
        self._tail: deque[tuple[str, Reader, Sentence]] = deque(maxlen=LINES // 2)
        self._count = 0
        self.lines: list[list[str]] = []
        """What was kept, once the block has ended: pairs of direction and words."""

    def hear(self, direction: str, sentences: Sequence[Sentence], words: Reader) -> None:
        """Sentences that were said one after another; ``words`` makes one of them readable."""
        first = max(0, LINES // 2 - self._count)
        last = max(first, len(sentences) - LINES // 2)
        self._head += [(direction, words, sentence) for sentence in sentences[:first]]
        self._tail.extend((direction, words, sentence) for sentence in sentences[last:])
        self._count += len(sentences)

    def write_out(self) -> None:
        """Make what was kept readable."""
        kept = (*self._head, *self._tail)
        self.lines = [
            [direction, " ".join(words(sentence)).replace("\0", "")[:LENGTH]] for direction, words, sentence in kept
        ]

    @property
    def left_out(self) -> int:
        """How many sentences of the middle are not kept; they would stand after the first half."""
        return self._count - len(self._head) - len(self._tail)


@contextmanager
def transcribed() -> Iterator[Transcript]:
    """Listen to the connections opened inside the block."""
    transcript = Transcript()
    try:
        with listening(transcript.hear):
            yield transcript
    finally:
        transcript.write_out()


def record(router_id: int, transcript: Transcript, error: str) -> None:
    """Keep it, and only the last ones of the router."""
    row = RouterTalk(
        router_id=router_id, talked_at=clock.now(), error=error[:16], left_out=transcript.left_out,
        lines=transcript.lines,
    )  # fmt: skip
    session().add(row)
    session().flush()
    kept = sa.select(RouterTalk.id).where(RouterTalk.router_id == router_id).order_by(RouterTalk.id.desc()).limit(KEPT)
    session().execute(
        sa.delete(RouterTalk)
        .where(RouterTalk.router_id == router_id, RouterTalk.id.not_in(kept))
        .execution_options(synchronize_session=False)
    )


def last(router_id: int) -> list[RouterTalk]:
    """The last synchronisations of a router, the newest first."""
    query = sa.select(RouterTalk).where(RouterTalk.router_id == router_id).order_by(RouterTalk.id.desc()).limit(KEPT)
    return list(session().scalars(query))
