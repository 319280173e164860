"""Answers: a page or one of its partials, messages to the person, where to go next.

htmx tells by a header whether it wants a fragment or a page; without the header (no JavaScript, reload, tests)
it is always the page, so that every address can be opened by itself.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Response, flash, g, make_response, redirect, render_template, request, session, url_for

from wisp.core import audit
from wisp.core.db import transaction

TOAST_KINDS = ("success", "info", "warning", "danger")


def is_htmx() -> bool:
    """True where htmx sent the request."""
    return "HX-Request" in request.headers


def is_partial() -> bool:
    """True where the answer is swapped into a part of a page."""
    return request.headers.get("HX-Request-Type") == "partial"


def render(
    page: str,
    partial: str | None = None,
    partials: Mapping[str, str] | None = None,
    status: int = 200,
    **context: Any,
) -> Response:
    """The page, or the fragment that htmx asked for.

    ``partials`` maps the id of a target element to its template; ``partial`` is used for any other target.
    """
    template = page
    if is_partial():
        target = request.headers.get("HX-Target", "").rpartition("#")[2]
        template = (partials or {}).get(target) or partial or page
    response = make_response(render_template(template, **context), status)
    response.vary.update(("HX-Request-Type", "HX-Target"))
    return response


def render_dialog(partial: str, title: Any, status: int = 200, **context: Any) -> Response:
    """The body of the dialog; opened by its address, the same body inside a page with ``title``."""
    return render("frame/dialog.html", partial=partial, status=status, body=partial, title=title, **context)


def toast(text: Any, kind: str = "success") -> None:
    """Show a short message: at once where htmx asked, else (or after a redirect) on the next page."""
    if kind not in TOAST_KINDS:
        raise ValueError(f"kind of toast: {kind}")
    if is_htmx():
        g.setdefault("toasts", []).append({"text": str(text), "kind": kind})
    elif [kind, str(text)] not in [list(waiting) for waiting in session.get("_flashes", ())]:
        flash(str(text), kind)


def trigger(event: str, **detail: Any) -> None:
    """Let the browser fire ``event`` on the page once the answer is in place."""
    g.setdefault("triggers", {})[event] = detail


def close_dialog() -> None:
    """Close the open dialog with this answer."""
    trigger("dialog:close")


def go(url: str) -> Response:
    """Send the browser to ``url`` (ours): 303 for a plain form, a redirect header for htmx."""
    if is_htmx():
        return Response(status=204, headers={"HX-Redirect": url})
    return make_response(redirect(url, code=303))


def redirect_back(endpoint: str, **values: Any) -> Response:
    """Back to the page the person came from, where that is one of ours; else to ``endpoint``."""
    came_from = request.form.get("next") or request.headers.get("HX-Current-URL") or request.referrer
    return go(safe_path(came_from) or url_for(endpoint, **values))


def safe_path(address: str | None) -> str | None:
    """The path and query of ``address`` if it leads to this site, else None: never an open redirect.

    Browsers read a backslash as a slash and drop control characters, so both are refused.
    """
    if not address or any(ord(sign) < 32 for sign in address) or "\\" in address:
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if (parts.scheme or parts.netloc) and f"{parts.scheme}://{parts.netloc}/" != request.host_url:
        return None
    if not parts.path.startswith("/") or parts.path.startswith("//"):
        return None
    return parts.path + (f"?{parts.query}" if parts.query else "")


def note_export(response: Response) -> Response:
    """After each request: whoever takes a list away is written down, whichever page gives it out."""
    if response.mimetype == "text/csv" and response.status_code == 200:
        kind, options = response.headers.get("Content-Disposition", ""), request.args.to_dict()
        name = kind.partition("filename=")[2].strip('"') or request.path
        with transaction():
            audit.record("export", f"file:{name}"[:200], None, {"page": request.path[:200], "filter": options})
    return response


def finish(response: Response) -> Response:
    """After each request: hand over toasts and triggers in the header that htmx reads."""
    toasts = g.pop("toasts", [])
    triggers: dict[str, Any] = g.pop("triggers", {})
    if toasts and ("HX-Redirect" in response.headers or "HX-Refresh" in response.headers):
        for message in toasts:
            flash(message["text"], message["kind"])
    elif toasts:
        triggers["toast"] = {"messages": toasts}
    if triggers:
        response.headers["HX-Trigger"] = json.dumps(triggers)
    return response
