"""HTTP only: permissions, answers, tables, navigation, formats. It knows no business and no tables."""

from wisp.web.access import administrators, authenticated, can, public, requires, scope
from wisp.web.pages import (
    close_dialog,
    go,
    is_htmx,
    is_partial,
    redirect_back,
    render,
    render_dialog,
    safe_path,
    toast,
    trigger,
)

__all__ = [
    "administrators",
    "authenticated",
    "can",
    "close_dialog",
    "go",
    "is_htmx",
    "is_partial",
    "public",
    "redirect_back",
    "render",
    "render_dialog",
    "requires",
    "safe_path",
    "scope",
    "toast",
    "trigger",
]
