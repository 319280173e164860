"""A command as it came and the answer to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from wisp.demo.routeros.codec import encode_rows, encode_sentence, encode_sentences
from wisp.demo.routeros.spec import Row, Trap


@dataclass
class Request:
    """A command: its path with the verb, its attributes, its query words (without `?`), its tag."""

    path: str
    attributes: Row = field(default_factory=dict)
    queries: list[str] = field(default_factory=list)
    tag: str | None = None

    @classmethod
    def parse(cls, words: list[str]) -> Request:
        """A command out of a sentence's words."""
        request = cls(words[0] if words[0].startswith("/") else f"/{words[0]}")
        for word in words[1:]:
            if word.startswith("="):
                name, _, value = word[1:].partition("=")
                request.attributes[name] = value
            elif word.startswith("?"):
                request.queries.append(word[1:])
            elif word.startswith(".tag="):
                request.tag = word[5:]
            elif word.startswith(".proplist="):
                request.attributes[".proplist"] = word[10:]
        return request


@dataclass
class Result:
    """The answer: rows, errors, what `!done` returns, or a `!fatal` that ends the session."""

    rows: list[Row] = field(default_factory=list)
    traps: list[Trap] = field(default_factory=list)
    ret: str | None = None
    empty: bool = False
    fatal: str | None = None

    def encoded(self, tag: str | None) -> bytes:
        """The sentences to send, each with the command's tag."""
        if self.fatal is not None:
            return encode_sentence(["!fatal", self.fatal])
        if not (self.rows or self.traps or self.empty):
            return encode_sentence(self._done(tag))
        rows = encode_rows(self.rows, [] if tag is None else [f".tag={tag}"])
        return rows + encode_sentences(self._ending(tag))

    def _ending(self, tag: str | None) -> list[list[str]]:
        """The sentences after the rows."""
        end = [] if tag is None else [f".tag={tag}"]
        out: list[list[str]] = []
        for trap in self.traps:
            category = [] if trap.category is None else [f"=category={trap.category}"]
            out.append(["!trap", *category, f"=message={trap.text}", *end])
        if self.empty:
            out.append(["!empty", *end])
        out.append(self._done(tag))
        return out

    def _done(self, tag: str | None) -> list[str]:
        words = ["!done"]
        if self.ret is not None:
            words.append(f"=ret={self.ret}")
        if tag is not None:
            words.append(f".tag={tag}")
        return words
