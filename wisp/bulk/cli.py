"""``flask bulk``."""

from typing import Any
from uuid import uuid4

import click
from flask.cli import AppGroup

from wisp.bulk import jobs, service
from wisp.bulk.action import get
from wisp.bulk.actions.switch import SwitchTasks
from wisp.core.commands import ROW, command, emit, json_option
from wisp.core.db import transaction
from wisp.core.errors import Refused
from wisp.core.scope import EVERYTHING
from wisp.routers import service as routers
from wisp.routers.cli import ON_OFF

group = AppGroup("bulk", help="Bulk actions.")


@group.command("switch")
@click.option("--zone", help="One zone: its own tasks, and those of its clients with own billing.")
@click.option("--all-zones", is_flag=True, help="Every zone.")
@click.option("--invoices", type=ON_OFF, help="Absent: as it is.")
@click.option("--notice", type=ON_OFF, help="Absent: as it is.")
@click.option("--cut", type=ON_OFF, help="Absent: as it is.")
@click.option("--yes", is_flag=True, help="Do it; without it only what would change is shown.")
@json_option
@command
def switch(
    zone: str | None, all_zones: bool, invoices: str | None, notice: str | None, cut: str | None, yes: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Activate or deactivate periodic tasks, of zone billing and of own billing alike."""
    given = {"invoices": invoices, "notice": notice, "cut": cut}
    kinds = {kind: state == "on" for kind, state in given.items() if state is not None}
    if bool(zone) == all_zones:
        raise Refused("bulk.where")
    if not kinds:
        raise Refused("bulk.nothing")
    values = {"zone": routers.find_zone(zone).id if zone else None, "kinds": kinds}
    action = get(SwitchTasks.key)
    if not yes:
        reach = action.reach(values, EVERYTHING)
        emit({"run": None, "zones": reach.zones, "clients": reach.clients, "changes": reach.changes}, as_json)
        raise Refused("bulk.yes")
    with transaction():
        run_id = service.order(action, values, uuid4().hex).id
    jobs.work(run_id)
    emit(_document(run_id), as_json)


@group.command("undo")
@click.argument("run_id", type=ROW)
@json_option
@command
def undo(run_id: int, as_json: bool) -> None:
    """Put back what a bulk action has changed and nobody has changed since."""
    service.find(run_id)
    with transaction():
        service.undo(run_id)
    jobs.work(run_id)
    emit(_document(run_id), as_json)


def _document(run_id: int) -> dict[str, Any]:
    run = service.find(run_id)
    return {
        "run": run.id,
        "action": run.action,
        "state": run.state,
        "zones": run.zones,
        "clients": run.clients,
        "changes": run.changed,
        "failed": run.failed,
        "restored": run.restored,
        "kept": run.kept,
    }
