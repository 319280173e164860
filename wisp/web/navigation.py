"""The sidebar. Each slice adds its entries; a person sees those that the permissions allow."""

from dataclasses import dataclass
from typing import Any

from flask import request, url_for
from flask_babel import lazy_gettext as _l

from wisp.core.permissions import Permission
from wisp.web.access import can

SECTIONS: dict[str, Any] = {
    "start": "",
    "clients": "",
    "billing": _l("Billing"),
    "network": _l("Network"),
    "system": _l("System"),
}


@dataclass(frozen=True)
class Entry:
    """One line of the sidebar; ``permission`` None means everybody who is logged in."""

    section: str
    label: Any
    endpoint: str
    permission: Permission | None
    icon: str
    order: int

    @property
    def active(self) -> bool:
        """True on the entry's own page and on those below it in the address, where no other entry is nearer."""
        own = url_for(self.endpoint)
        if own == "/" or not request.path.startswith(own):
            return request.path == own
        nearer = (url_for(entry.endpoint) for entry in _entries.values() if entry is not self)
        return not any(len(url) > len(own) and request.path.startswith(url) for url in nearer)


_entries: dict[str, Entry] = {}


def add(section: str, label: Any, endpoint: str, permission: Permission | None, icon: str, order: int = 50) -> None:
    """Add a line; ``section`` is a key of SECTIONS, ``icon`` a Tabler icon's name. Again for an endpoint: replaced."""
    if section not in SECTIONS:
        raise ValueError(f"section of the sidebar: {section}")
    _entries[endpoint] = Entry(section, label, endpoint, permission, icon, order)


def sections() -> list[tuple[Any, list[Entry]]]:
    """Title and entries of each section, without what the logged-in user may not open."""
    found = []
    for key, title in SECTIONS.items():
        entries = [e for e in _entries.values() if e.section == key and (e.permission is None or can(e.permission))]
        if entries:
            found.append((title, sorted(entries, key=lambda entry: entry.order)))
    return found


def home() -> str | None:
    """The address of the first entry that the logged-in user may open."""
    for _title, entries in sections():
        return url_for(entries[0].endpoint)
    return None
