"""Check the catalogues: every text of the program translated, none uncertain: ``python -m wisp.build.catalogues``.

Texts in the code are English, so the English catalogue may leave a text empty; the Spanish one may not.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parent.parent.parent
TRANSLATIONS = ROOT / "wisp" / "translations"
KEYWORDS = {
    "_": None,
    "_l": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
    "_n": (1, 2),
    "translate": (2,),
}
COMPLETE = ("es",)
LANGUAGES = ("es", "en")
PLACEHOLDER = re.compile(r"%\((\w+)\)[#0\- +]*[\d.]*[a-z]|%[sd]")

Id = str | tuple[str, ...]


def used() -> dict[Id, str]:
    """Every text that code and templates ask for, and where the first one stands."""
    with (ROOT / "babel.cfg").open() as stream:
        methods, options = parse_mapping_cfg(stream, "babel.cfg")  # type: ignore[no-untyped-call]
    found: dict[Id, str] = {}
    rows = extract_from_dir(str(ROOT), methods, options, keywords=KEYWORDS, directory_filter=_wanted)
    for file, line, message, _comments, _context in rows:
        key: Id = message if isinstance(message, str) else tuple(part for part in message if part)
        found.setdefault(key, f"{file}:{line}")
    return found


def _wanted(folder: str | Path) -> bool:
    name = Path(folder).name
    return not name.startswith(".") and name not in ("node_modules", "data", "tests", "static", "docs", "migrations")


def _texts(message: Message) -> tuple[str, ...]:
    value = message.string
    return (value,) if isinstance(value, str) else tuple(value or ("",))


def _id(message: Message) -> Id:
    return message.id if isinstance(message.id, str) else tuple(message.id)


def _placeholders(text: str) -> set[str]:
    return {match[0] for match in PLACEHOLDER.finditer(text.replace("%%", ""))}


def faults(language: str, wanted: dict[Id, str]) -> Iterator[str]:
    """What is wrong with the catalogue of one language, a line each."""
    file = TRANSLATIONS / language / "LC_MESSAGES" / "messages.po"
    if not file.exists():
        yield f"{language}: no catalogue at {file.relative_to(ROOT)}"
        return
    with file.open("rb") as stream:
        catalogue = read_po(stream, locale=language)
    known: dict[Id, Message] = {_id(message): message for message in catalogue if message.id}
    yield from _missing(language, wanted, known)
    for id in sorted(known.keys() - wanted.keys(), key=str):
        yield f"{language}: nobody says {id!r} any more"
    yield from _wrong(language, catalogue)


def _missing(language: str, wanted: dict[Id, str], known: dict[Id, Message]) -> Iterator[str]:
    for id, place in sorted(wanted.items(), key=str):
        message = known.get(id)
        if message is None:
            yield f"{language}: {place}: {id!r} is not in the catalogue"
        elif language in COMPLETE and not all(_texts(message)):
            yield f"{language}: {place}: {id!r} is not translated"


def _wrong(language: str, catalogue: Catalog) -> Iterator[str]:
    for message in catalogue:
        if not message.id:
            continue
        if message.fuzzy:
            yield f"{language}: {message.id!r} is marked fuzzy"
        ids = (message.id,) if isinstance(message.id, str) else message.id
        allowed = set().union(*(_placeholders(id) for id in ids))
        for text in filter(None, _texts(message)):
            if not _placeholders(text) <= allowed:
                yield f"{language}: {text!r} has values that {message.id!r} does not give it"


def check(languages: Iterable[str] = LANGUAGES) -> list[str]:
    """All faults of all catalogues."""
    wanted = used()
    return [fault for language in languages for fault in faults(language, wanted)]


if __name__ == "__main__":
    found = check()
    print("\n".join(found) or "catalogues: complete")
    sys.exit(1 if found else 0)
