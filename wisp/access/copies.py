"""Our copies of PPP profiles on a router: added where they are missing, put right where they differ. Network only."""

from wisp.access.levers import Desk, repairs
from wisp.gateway import Connection, Outcome, Row, Status, menus


def send(connection: Connection, desk: Desk) -> tuple[dict[str, str], bool]:
    """Make our copies of profiles what they should be; by its name on the wire why one is not, and a doubt."""
    profiles = {row["name"]: row for row in (desk.facts.profiles or {}).values() if "name" in row}
    new = [copy for copy in desk.copies.values() if copy["name"] not in profiles]
    kept = [
        (profiles[copy["name"]][".id"], repairs(profiles[copy["name"]], copy), copy)
        for copy in desk.copies.values()
        if copy["name"] in profiles
    ]
    changed = [(row_id, values, copy) for row_id, values, copy in kept if values]
    answers: list[tuple[Row, Outcome]] = []
    if new:
        answers += zip(new, connection.add(menus.PROFILE, new, raw=True), strict=True)
    if changed and connection.error is None:
        outcomes = connection.change(menus.PROFILE, [(at, values) for at, values, _ in changed], raw=True)
        answers += zip([copy for _, _, copy in changed], outcomes, strict=True)
    if connection.error is not None:
        raise connection.error
    refused = {copy["name"]: answer.text for copy, answer in answers if answer.status is Status.failed}
    return refused, any(answer.status in (Status.exists, Status.gone) for _, answer in answers)
