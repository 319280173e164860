"""The profiles that users need: the router's own, and ours, copies of one of them with a plan's speed. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wisp.access.provision.normal import same
from wisp.access.provision.wanted import PLAN_MARK, Profile, plan_of
from wisp.gateway import menus, text_of

Row = Mapping[str, str]
"""A row as read, in the router's own bytes; what is not set is absent."""

COPIED = {
    menus.PROFILE: (
        "local-address", "remote-address", "remote-ipv6-prefix-pool", "dhcpv6-pd-pool", "dns-server", "wins-server",
        "bridge", "bridge-horizon", "bridge-learning", "bridge-path-cost", "bridge-port-priority", "use-mpls",
        "use-compression", "use-encryption", "use-ipv6", "use-upnp", "only-one", "change-tcp-mss", "address-list",
        "interface-list", "incoming-filter", "outgoing-filter", "parent-queue", "queue-type", "insert-queue-before",
        "session-timeout", "idle-timeout", "on-up", "on-down",
    ),
    menus.HOTSPOT_PROFILE: (
        "address-pool", "session-timeout", "idle-timeout", "keepalive-timeout", "status-autorefresh", "shared-users",
        "add-mac-cookie", "mac-cookie-timeout", "address-list", "parent-queue", "queue-type", "insert-queue-before",
        "incoming-filter", "outgoing-filter", "incoming-packet-mark", "outgoing-packet-mark", "transparent-proxy",
        "open-status-page", "on-login", "on-logout",
    ),
}  # fmt: skip
"""What a profile of ours takes over from its base: all but its name, its speed and its comment."""
_MARKED = {menus.PROFILE: ("comment",), menus.HOTSPOT_PROFILE: ()}
PROPERTIES = {menu: (".id", "name", "rate-limit", *_MARKED[menu], *names) for menu, names in COPIED.items()}


@dataclass
class Profiles:
    """What must become of the profiles of one menu. ``add`` and ``change`` (by id) in the router's bytes, ``unset``
    names of properties by id, ``remove`` ids. ``problems`` by name of profile; ``later``: one is free only after what
    is sent now."""

    add: list[dict[str, str]] = field(default_factory=list)
    change: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    unset: list[tuple[str, str]] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    later: bool = False


def compare(menu: str, wanted: Iterable[Profile], rows: Sequence[Row]) -> Profiles:
    """What the profiles of ``menu`` lack so that these are as wanted. Nothing of others is changed."""
    found = Profiles()
    by_name = {text_of(row.get("name", "")): row for row in reversed(rows)}
    ours = {plan_of(menu, row): row for row in reversed(rows)}
    for profile in {profile.name: profile for profile in wanted}.values():
        if not profile.limit:
            if profile.name not in by_name:
                found.problems[profile.name] = f"no_profile: {profile.name}"
            continue
        base, row = by_name.get(profile.base), ours.get(profile.plan_id)
        taken = by_name.get(profile.name)
        if taken is not None and plan_of(menu, taken) is None:
            found.problems[profile.name] = f"foreign_profile: {profile.name}"
        elif base is None:
            found.problems[profile.name] = f"no_base: {profile.base}"
        else:
            _make(found, profile, base, row)
    return found


def _make(found: Profiles, profile: Profile, base: Row, row: Row | None) -> None:
    values = {name: base.get(name, "") for name in COPIED[profile.menu]}
    values |= {"name": profile.name, "rate-limit": profile.limit}
    if row is None:
        said = {name: value for name, value in values.items() if value}
        mark = dict.fromkeys(_MARKED[profile.menu], f"{PLAN_MARK}{profile.plan_id}")
        found.add.append({**said, **mark})
        return
    changes = {name: value for name, value in values.items() if not same(name, row.get(name, ""), value)}
    said = {name: value for name, value in changes.items() if value}
    if said:
        found.change.append((row[".id"], said))
    found.unset += [(row[".id"], name) for name, value in changes.items() if not value]


def clear(menu: str, found: Profiles, rows: Sequence[Row], kept: Collection[str], before: Collection[str]) -> None:
    """Note which profiles of ours nobody needs any more. ``kept``: names that are needed or in use once all that is
    sent now is done; ``before``: names that rows use until then."""
    for row in rows:
        name = text_of(row.get("name", ""))
        if plan_of(menu, row) is None or name in kept:
            continue
        if name in before:
            found.later = True
        else:
            found.remove.append(row[".id"])
