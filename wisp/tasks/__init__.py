"""Periodic tasks: the tick, runs and their ledger, and the pages that show them."""

from flask import Flask
from flask_babel import lazy_gettext as _l

from wisp.core import events
from wisp.core.permissions import Permission
from wisp.web import navigation, registry


def setup(app: Flask) -> None:
    """The pages, the commands, the receiver of the routers' answers, and the client's tab."""
    from wisp.clients import changeover as billing_changes
    from wisp.clients import cli as client_commands
    from wisp.clients import nextrun as next_runs
    from wisp.schedules import service as schedules
    from wisp.tasks import apply_views, changeover, cli, client_head, gaps, history, ledger, nextrun, planning, texts

    app.register_blueprint(apply_views.bp)
    app.cli.add_command(cli.tasks)
    app.cli.add_command(cli.runs)
    texts.register()
    history.register()
    billing_changes.answered_by(changeover.find)
    schedules.concerns_answered_by(planning.concerns)
    next_runs.answered_by(nextrun.find)
    events.billing_changed.connect(gaps.on_billing_changed)
    events.client_saved.connect(gaps.on_client_saved)
    events.router_synced.connect(ledger.on_router_synced)
    events.lists_applied.connect(ledger.on_lists_applied)
    events.client_reactivated.connect(ledger.on_client_reactivated)
    navigation.add("system", _l("Periodic tasks"), "tasks.index", Permission.PERIODIC_TASKS_VIEW, "calendar-event", 10)
    registry.client_heads["head"] = client_head.of_client
    client_commands.more.append(client_head.as_json)
    registry.client_tabs.add(
        registry.Tab("history", _l("History"), "tasks.client_history", Permission.PERIODIC_TASKS_VIEW, 60)
    )
