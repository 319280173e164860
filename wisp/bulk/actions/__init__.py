"""The bulk actions, one file each."""

from wisp.bulk import action


def register() -> None:
    """Add every action."""
    from wisp.bulk.actions.exclude import ExcludeFromCut
    from wisp.bulk.actions.plan import ChangePlan
    from wisp.bulk.actions.switch import SwitchTasks

    for one in (SwitchTasks(), ChangePlan(), ExcludeFromCut()):
        action.add(one)
