"""The rules as text for a router's terminal. Pure. Every value is quoted, so that none can become a command."""

from collections.abc import Iterable, Sequence

from wisp.access.rules.comparing import groups
from wisp.access.rules.wanted import FILTER, FILTER6, LISTS, MENUS, NAT, TAG, Rule

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,-_:/ !+@#()")
_ESTABLISHED = (
    'dynamic=no and (action="fasttrack-connection" or (action="accept" and connection-state~"(^|,)established"))'
)
_REDIRECTS = 'dynamic=no and (action="dst-nat" or action="redirect" or action="netmap" or action="jump")'
_SOURCES = (
    'dynamic=no and (action="masquerade" or action="src-nat" or action="netmap" or action="same" or action="jump")'
)
_ANCHORS = {
    (FILTER, "forward"): _ESTABLISHED,
    (FILTER6, "forward"): _ESTABLISHED,
    (NAT, "dstnat"): _REDIRECTS,
    (NAT, "srcnat"): _SOURCES,
}


def quote(text: str) -> str:
    """A text as RouterOS reads it between quotation marks: everything that could end it or mean a command is written
    as the number of its byte."""
    out = ""
    for sign in text:
        out += sign if sign in _PLAIN else "".join(f"\\{byte:02X}" for byte in sign.encode())
    return f'"{out}"'


def words(rule: Rule) -> str:
    """The properties of a rule, its mark last."""
    says = {**rule.says, "comment": rule.comment}
    return " ".join(f"{name}={quote(value)}" for name, value in says.items())


def removal(menus: Sequence[str] = MENUS) -> str:
    """The text that takes every rule of ours away and nothing else."""
    return "\n".join(f'{_menu(menu)} remove [find comment~"^{TAG}" dynamic=no]' for menu in reversed(menus)) + "\n"


def installation(rules: Sequence[Rule]) -> str:
    """The text that puts the rules where they belong; pasting it twice is the same as once."""
    present = [menu for menu in MENUS if any(rule.menu == menu for rule in rules)]
    lines = [removal(present).rstrip("\n")]
    for menu in present:
        mine = [rule for rule in rules if rule.menu == menu]
        lines.append(_menu(menu))
        if menu in LISTS:
            lines += [f"add {words(rule)}" for rule in mine]
            continue
        chains = groups(mine)
        # Chains of our own first: nothing jumps into one that is not complete yet.
        for place in sorted(chains, key=lambda found: found in _ANCHORS):
            lines += _chain(place, chains[place])
    return "\n".join(lines) + "\n"


def _chain(place: tuple[str, str], rules: Iterable[Rule]) -> list[str]:
    found = _ANCHORS.get(place)
    if found is None:
        return [f"add {words(rule)}" for rule in rules]
    menu = _menu(place[0])
    # In braces: a name that is made at the prompt is forgotten at the end of its line.
    out = [f'{{ :local first [{menu} find chain="{place[1]}" and {found}]', ":if ([:len $first] > 0) do={"]
    out += [f"  {menu} add place-before=[:pick $first 0] {words(rule)}" for rule in rules]
    out += ["} else={", *(f"  {menu} add {words(rule)}" for rule in rules), "} }"]
    return out


def _menu(menu: str) -> str:
    return "/" + menu.strip("/").replace("/", " ")
