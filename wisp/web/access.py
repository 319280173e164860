"""Who may open a view. Deny by default: a view without a mark stops the start of the program."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, abort, current_app, g, request
from flask_login import current_user

from wisp.core import audit
from wisp.core.extensions import login_manager
from wisp.core.permissions import Permission
from wisp.core.scope import Scope

F = TypeVar("F", bound=Callable[..., Any])
MARK = "wisp_access"
PUBLIC = "public"
AUTHENTICATED = "authenticated"
ADMINISTRATORS = "administrators"
gates: list[Callable[[], Any]] = []
"""What may answer a request before anybody asks who is logged in (None: go on); filled by setup() of slices."""


class UnmarkedView(RuntimeError):
    """A view says neither which permission it needs nor that it is public."""


def requires(*permissions: Permission) -> Callable[[F], F]:
    """Mark a view: the staff user needs all of ``permissions``. No session: 302 or 401; one of them missing: 403."""
    if not permissions:
        raise ValueError("requires() needs a permission")

    def mark(view: F) -> F:
        setattr(view, MARK, frozenset(permissions))
        return view

    return mark


def public(view: F) -> F:
    """Mark a view that anybody may open."""
    setattr(view, MARK, PUBLIC)
    return view


def authenticated(view: F) -> F:
    """Mark a view that every logged-in staff user may open, whatever the permissions."""
    setattr(view, MARK, AUTHENTICATED)
    return view


def administrators(view: F) -> F:
    """Mark a view that only an administrator may open: no permission that can be granted is enough."""
    setattr(view, MARK, ADMINISTRATORS)
    return view


def can(permission: Permission | str) -> bool:
    """True where the logged-in user holds ``permission``; ``ADMINISTRATORS``: is an administrator."""
    if not current_user or not current_user.is_authenticated:
        return False
    return bool(current_user.manager.admin if permission == ADMINISTRATORS else permission in current_user.permissions)


def scope() -> Scope:
    """The zones that the logged-in user may see."""
    if not current_user or not current_user.is_authenticated:
        return Scope(frozenset())
    found: Scope = current_user.scope
    return found


def needs_session() -> bool:
    """True where the view that was asked for is for logged-in users, and nobody is."""
    view = current_app.view_functions.get(request.endpoint or "")
    return view is not None and getattr(view, MARK, PUBLIC) != PUBLIC and not current_user.is_authenticated


def enforce() -> Any:
    """Before each request: set the actor of the audit log and refuse what the view's mark does not allow."""
    for gate in gates:
        answer = gate()
        if answer is not None:
            return answer
    logged_in = bool(current_user and current_user.is_authenticated)
    name = f"staff:{current_user.email}" if logged_in else "visitor"
    audit.act_as(audit.Actor(name, request.remote_addr or ""))
    if request.endpoint is None:
        return None
    mark = getattr(current_app.view_functions[request.endpoint], MARK, None)
    if mark == PUBLIC:
        return None
    if not logged_in:
        return login_manager.unauthorized()
    if mark == AUTHENTICATED:
        return None
    if mark == ADMINISTRATORS:
        return None if can(ADMINISTRATORS) else abort(403)
    if mark is None or not mark <= current_user.permissions:
        g.missing_permissions = sorted((mark or frozenset()) - current_user.permissions)
        abort(403)
    return None


def forget_actor(_error: BaseException | None) -> None:
    """After each request: a thread that is used again must not carry the last visitor's name."""
    audit.act_as(audit.SYSTEM)


def check(app: Flask) -> None:
    """Refuse to start where a view carries no mark. Raises UnmarkedView naming them all."""
    bare = sorted({rule.endpoint for rule in app.url_map.iter_rules() if _bare(app, rule.endpoint)})
    if bare:
        raise UnmarkedView(f"views without @requires, @authenticated or @public: {', '.join(bare)}")


def _bare(app: Flask, endpoint: str) -> bool:
    return not hasattr(app.view_functions[endpoint], MARK)
