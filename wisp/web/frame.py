"""Binds the frame to the application: language, log-in, headers, error pages, what templates may call."""

from flask import Flask, request, url_for
from flask_babel import gettext as _
from flask_login import AnonymousUserMixin
from sqlalchemy.exc import DBAPIError

from wisp.core import health
from wisp.core.extensions import babel, login_manager
from wisp.core.locales import LANGUAGES
from wisp.core.permissions import Permission
from wisp.web import access, assets, dispatch, errors, formats, headers, navigation, pages, registry, requests
from wisp.web.proxy import TrustedProxies

THEME_COOKIE = "wisp_theme"
THEMES = ("auto", "light", "dark")


def init_app(app: Flask) -> None:
    """Everything of the frame that must be there before the slices are set up."""
    config = app.config["WISP"]
    if config.proxies:
        app.wsgi_app = TrustedProxies(app.wsgi_app, config.proxies)  # type: ignore[method-assign, assignment]
    babel.init_app(app, locale_selector=formats.select_language)
    formats.init_app(app)
    login_manager.anonymous_user = AnonymousUserMixin
    login_manager.session_protection = "basic"
    requests.init_app(app)
    app.before_request(access.enforce)
    app.teardown_request(access.forget_actor)
    app.after_request(pages.finish)
    app.after_request(pages.note_export)
    headers.init_app(app, over_tls=config.url.startswith("https://"))
    dispatch.init_app(app)
    errors.init_app(app)
    app.jinja_env.globals.update(
        can=access.can,
        Permission=Permission,
        asset=assets.asset,
        navigation=navigation.sections,
        registry=registry,
        facts=formats.facts,
        standstill=standstill,
        language=formats.language,
        languages=LANGUAGES,
        theme=theme,
        is_partial=pages.is_partial,
        with_args=with_args,
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.add_extension("jinja2.ext.do")
    access.public(app.view_functions["static"])


def theme() -> str:
    """``light`` or ``dark`` where the person chose one, else ``auto``: as the system prefers."""
    chosen = request.cookies.get(THEME_COOKIE, "auto")
    return chosen if chosen in THEMES else "auto"


def standstill() -> str:
    """One sentence where background work stands still; empty where it goes on, or nobody can say."""
    try:
        found = health.silent()
    except DBAPIError:
        return ""
    if found is None:
        return ""
    since = formats.format_since(found.since) if found.since else _("never")
    if found.part == health.QUEUE:
        return str(_("Background work stands still: the queue (Redis) was last reached %(since)s.", since=since))
    if found.part == health.WORKER:
        return str(_("Background work stands still: a worker was last seen %(since)s.", since=since))
    return str(_("Periodic work stands still: the scheduler was last seen %(since)s.", since=since))


def with_args(**changes: object) -> str:
    """The present address with some of its query arguments changed; None takes one away."""
    arguments = {**request.args.to_dict(), **changes}
    kept = {name: value for name, value in arguments.items() if value not in (None, "")}
    return url_for(request.endpoint or "static", **(request.view_args or {}), **kept)  # type: ignore[arg-type]
