"""What a person orders for one client, at any hour and whatever it owes: suspend, pause until a day, give back."""

from flask import Flask


def setup(app: Flask) -> None:
    """Wire the texts, the commands, the pages, and the partial of the client's head."""
    from wisp.access.holds import cli, service, texts, views
    from wisp.core import events

    events.client_cancelled.connect(service.cancelled)
    texts.register()
    cli.register()
    app.register_blueprint(views.bp)
    app.jinja_env.globals["hold_of"] = service.of
    app.jinja_env.globals["hold_words"] = texts.held
