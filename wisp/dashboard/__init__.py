"""The first page: what runs next, what failed, what waits, how the month goes."""

from flask import Flask
from flask_babel import lazy_gettext as _l

from wisp.web import navigation


def setup(app: Flask) -> None:
    """The page and its place in the menu."""
    from wisp.dashboard import views

    app.register_blueprint(views.bp)
    navigation.add("start", _l("Home"), "dashboard.index", None, "home", 0)
