"""What higher slices hang into pages of lower ones: tabs, settings panels, cards of the first page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wisp.core.permissions import Permission
from wisp.web.access import can, scope


@dataclass(frozen=True)
class Tab:
    """One tab, panel or card. ``endpoint`` takes the page's own arguments (the client's code, the router's id).

    A tool of the router's "Herramientas" page is shown as a button named ``action`` that posts to the endpoint; without
    an action it is a page of its own, opened by a link.
    """

    key: str
    label: Any
    endpoint: str
    permission: Permission | str | None = None
    order: int = 50
    action: Any = ""


class Tabs:
    """An ordered collection of tabs; adding a key again replaces it, so that several apps may live in one process.

    ``whole``: they show what belongs to all zones at once, so they are not for whoever is limited to some.
    """

    def __init__(self, whole: bool = False) -> None:
        self._tabs: dict[str, Tab] = {}
        self._whole = whole

    def add(self, tab: Tab) -> None:
        """Add or replace."""
        self._tabs[tab.key] = tab

    append = add

    def all(self) -> list[Tab]:
        """All, in order."""
        return sorted(self._tabs.values(), key=lambda tab: tab.order)

    def visible(self) -> list[Tab]:
        """Those that the logged-in user may open, in order."""
        if self._whole and scope().zone_ids is not None:
            return []
        return [tab for tab in self.all() if tab.permission is None or can(tab.permission)]


client_tabs = Tabs()
router_tabs = Tabs()
router_tools = Tabs(whole=True)
settings_panels = Tabs()
dashboard_cards = Tabs()
permission_labels: dict[Permission, Any] = {}
"""How people call each permission; filled by the slice that grants them."""
router_marks: dict[str, Callable[[list[int]], dict[int, str]]] = {}
"""What higher slices show beside a router's state in the list: from ids to rendered parts, in one statement each."""
client_heads: dict[str, Callable[[Any], Any]] = {}
"""Who works out the head of a client's file, which stands above every tab: from the client to what it says."""
client_panels: dict[str, Callable[[Any], str]] = {}
"""What higher slices add to a client's tab "Conexión": from the client to a rendered part."""
