"""A list for very many small objects that are looked at in order: kept pressed together, a few thousand at a time."""

import pickle
import zlib
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
BLOCK = 2_000


class Spool(Generic[T]):
    """Append, count, go through again and again, look at the first ones. What is looked at is a copy."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._last: list[T] = []

    def append(self, item: T) -> None:
        """Add one at the end."""
        self._last.append(item)
        if len(self._last) == BLOCK:
            self._blocks.append(zlib.compress(pickle.dumps(self._last), 1))
            self._last = []

    def __len__(self) -> int:
        return len(self._blocks) * BLOCK + len(self._last)

    def __iter__(self) -> Iterator[T]:
        for block in self._blocks:
            yield from pickle.loads(zlib.decompress(block))  # noqa: S301  our own objects, a moment ago
        yield from self._last

    def __getitem__(self, part: slice) -> list[T]:
        found: list[T] = []
        for item in self:
            if part.stop is not None and len(found) >= part.stop:
                break
            found.append(item)
        return found[part]
