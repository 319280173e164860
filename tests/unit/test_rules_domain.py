"""The rules that belong on a router, how what stands there differs, the script to paste, the verdicts."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from flask_babel import force_locale
from hypothesis import given
from hypothesis import strategies as st

from wisp.access import texts
from wisp.access.rules import checks, script
from wisp.access.rules.comparing import anchor, difference, ours
from wisp.access.rules.wanted import FILTER, FILTER6, LIST, LIST6, NAT, Rule, Settings, generate, key_of

FULL = Settings(
    servers=("203.0.113.10", "2001:db8::10"),
    payments=("pay.example.net", "198.51.100.0/24", "2001:db8:1::/48"),
    resolvers=("203.0.113.53", "2001:db8::53"),
)
MASQUERADE = {".id": "*1", "chain": "srcnat", "out-interface": "ether1", "action": "masquerade"}


def rows_of(rules: list[Rule]) -> dict[str, list[dict[str, str]]]:
    """A router on which exactly these rules stand."""
    tables: dict[str, list[dict[str, str]]] = {menu: [] for menu in (LIST, LIST6, NAT, FILTER, FILTER6)}
    for number, rule in enumerate(rules, 1):
        tables[rule.menu].append({".id": f"*A{number:X}", **rule.says, "comment": rule.comment})
    return tables


def by_key(rules: list[Rule], menu: str) -> dict[str, dict[str, str]]:
    return {rule.key: rule.says for rule in rules if rule.menu == menu}


def test_the_rules_of_the_lists() -> None:
    rules = generate(FULL)
    nat, forward = by_key(rules, NAT), by_key(rules, FILTER)
    assert list(nat) == [
        "nat-allowed", "nat-overdue", "nat-notice", "nat-notice-seen", "nat-notice-page", "keep-client-address",
    ]  # fmt: skip
    assert nat["nat-overdue"] == {
        "chain": "dstnat", "src-address-list": "wisp-overdue", "protocol": "tcp", "dst-port": "80",
        "action": "dst-nat", "to-addresses": "203.0.113.10", "to-ports": "8081",
    }  # fmt: skip
    assert nat["nat-notice-page"]["to-ports"] == "8082"
    assert list(forward) == [
        "fwd-overdue", "fwd-seen", "ov-allowed", "ov-dns-udp", "ov-dns-tcp", "ov-page", "ov-reset", "ov-drop",
    ]  # fmt: skip
    assert forward["fwd-seen"]["address-list-timeout"] == "2h"
    assert {says["address"] for says in by_key(rules, LIST).values()} == {
        "203.0.113.10", "pay.example.net", "198.51.100.0/24", "203.0.113.53",
    }  # fmt: skip
    assert {says["address"] for says in by_key(rules, LIST6).values()} == {
        "2001:db8::10", "pay.example.net", "2001:db8:1::/48", "2001:db8::53",
    }  # fmt: skip
    assert list(by_key(rules, FILTER6)) == [
        "fwd-overdue6", "ov-allowed6", "ov-dns-udp6", "ov-dns-tcp6", "ov-reset6", "ov-drop6",
    ]  # fmt: skip
    assert all(key_of(rule.comment) == rule.key for rule in rules)


def test_version_6_has_ipv6_only_with_its_package_and_no_page_means_no_redirection() -> None:
    assert not {LIST6, FILTER6} & {rule.menu for rule in generate(FULL, (6, 49, 19))}
    assert {LIST6, FILTER6} <= {rule.menu for rule in generate(FULL, (6, 49, 19), ipv6=True)}
    bare = generate(Settings(cut="Morosos"))
    assert not [rule for rule in bare if rule.menu == NAT]
    assert by_key(bare, FILTER)["fwd-overdue"] == {
        "chain": "forward", "src-address-list": "Morosos", "action": "jump", "jump-target": "wisp-overdue",
    }  # fmt: skip
    assert "ov-page" not in by_key(bare, FILTER)


# Comparing -------------------------------------------------------------------------------------------


def test_exactly_the_rules_is_no_difference_however_the_router_spells_them() -> None:
    rules = generate(FULL)
    tables = rows_of(rules)
    for row in tables[FILTER]:
        if "address-list-timeout" in row:
            row["address-list-timeout"] = "1h60m"
    for row in tables[LIST6]:
        if row["address"] == "2001:db8::10":
            row["address"] = "2001:db8::10/128"
    assert difference(rules, tables).empty


@pytest.mark.parametrize(
    "change",
    [{"disabled": "true"}, {"src-address-list": "otra"}, {"in-interface": "ether2"}, {"connection-state": "new"}],
)
def test_a_rule_that_was_touched_is_changed(change: dict[str, str]) -> None:
    rules = generate(FULL)
    tables = rows_of(rules)
    tables[FILTER][0].update(change)
    found = difference(rules, tables)
    assert [rule.key for rule, _row in found.changed] == ["fwd-overdue"]
    assert not found.missing
    assert not found.extra


def test_second_copies_and_unknown_keys_are_too_many_and_dynamic_rows_are_nobodys() -> None:
    rules = generate(FULL)
    tables = rows_of(rules)
    tables[FILTER] += [
        {**tables[FILTER][0], ".id": "*F0"},
        {".id": "*F1", "chain": "forward", "action": "accept", "comment": "wisp-rule:old"},
        {".id": "*F2", "chain": "forward", "action": "passthrough", "comment": "wisp-rule:old", "dynamic": "true"},
        {".id": "*F3", "chain": "forward", "action": "drop", "comment": "wisp-rule but not ours"},
    ]
    found = difference(rules, tables)
    assert [row[".id"] for _menu, row in found.extra] == ["*F0", "*F1"]
    assert found.foreign == 1


def test_what_another_has_put_on_our_list_already_is_not_missing() -> None:
    rules = generate(FULL)
    tables = rows_of(rules)
    tables[LIST][0].update({"comment": "de otro"})
    assert difference(rules, tables).empty
    tables[LIST][0]["dynamic"] = "true"
    assert difference(rules, tables).empty
    tables[LIST][0]["disabled"] = "true"
    assert [rule.says["address"] for rule in difference(rules, tables).missing] == ["203.0.113.10"]


ACTIONS = st.sampled_from(["accept", "drop", "fasttrack-connection", "jump", "log", "dst-nat", "masquerade"])
FOREIGN = st.fixed_dictionaries(
    {"chain": st.sampled_from(["forward", "input", "dstnat", "srcnat", "wisp-overdue"]), "action": ACTIONS},
    optional={
        "connection-state": st.sampled_from(["established,related", "invalid", "!established", "new"]),
        "dynamic": st.just("true"), "disabled": st.just("true"), "src-address": st.just("10.0.0.1"),
        "comment": st.sampled_from(["mío", "wisp:ANA", "wisp-rulé:x", "wisp-rule:", "x wisp-rule:y"]),
    },
)  # fmt: skip


@given(st.data())
def test_for_any_table_misplaced_is_exactly_out_of_order_or_below_the_anchor(data: st.DataObject) -> None:
    rules = [rule for rule in generate(FULL) if rule.menu == FILTER and rule.chain == "forward"]
    mine = [{".id": f"*{n}", **rule.says, "comment": rule.comment} for n, rule in enumerate(rules)]
    foreign = data.draw(st.lists(FOREIGN, max_size=8))
    foreign = [{".id": f"*F{n}", **row} for n, row in enumerate(foreign)]
    table = data.draw(st.permutations([*mine, *foreign]))
    found = difference(rules, {FILTER: table})
    limit = anchor(FILTER, "forward", table)
    places = [table.index(row) for row in mine]
    right = places == sorted(places) and (limit is None or max(places) < table.index(limit))
    assert (not found.misplaced) == right
    assert not found.extra
    assert found.foreign == sum(row.get("dynamic") != "true" for row in foreign)
    if limit is not None:
        assert ours(limit) is None
        assert limit.get("dynamic") != "true"


# The script ------------------------------------------------------------------------------------------


@given(st.text(max_size=40))
def test_a_quoted_text_is_one_word_and_no_command(text: str) -> None:
    quoted = script.quote(text)
    inner = quoted[1:-1]
    assert quoted[0] == quoted[-1] == '"'
    assert not re.search(r'["$?;\n\r\[\]{}]', inner)
    assert re.fullmatch(r"(?:[^\\]|\\[0-9A-F]{2})*", inner)
    plain = re.sub(r"\\([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), inner)
    assert plain.encode("latin-1").decode() == text


def test_the_script_takes_ours_away_first_and_finds_the_place_by_itself() -> None:
    text = script.installation(generate(FULL))
    assert text.index("remove [find") < text.index("add ")
    assert text.count("remove [find") == 5
    for rule in generate(FULL):
        assert f'comment="{rule.comment}"' in text
    assert 'place-before=[:pick $first 0] chain="forward"' in text
    assert text.index('chain="wisp-overdue"') < text.index('place-before=[:pick $first 0] chain="forward"')
    assert "/ipv6" not in script.installation(generate(FULL, (6, 48)))
    assert script.removal().count("remove [find comment~") == 5


# Verdicts --------------------------------------------------------------------------------------------


def subject(**changes: object) -> checks.Subject:
    rules = generate(FULL)
    tables = rows_of(rules)
    tables[NAT].append(MASQUERADE)
    tables[FILTER] += [
        {".id": "*F1", "chain": "forward", "action": "fasttrack-connection", "connection-state": "established"},
        {".id": "*F2", "chain": "forward", "action": "accept", "connection-state": "established"},
    ]
    whole = checks.Subject(FULL, rules, tables, difference(rules, tables), ("10.0.0.1/24",), (), True, False, "", True)
    return replace(whole, **changes)  # type: ignore[arg-type]


def state(found: checks.Subject, key: str) -> tuple[str, str]:
    found = replace(found, difference=difference(found.rules, found.tables))
    verdict = next(verdict for verdict in checks.check(found) if verdict.key == key)
    return verdict.state, verdict.reason


def test_everything_right_is_eleven_good_verdicts() -> None:
    verdicts = checks.check(subject())
    assert [(verdict.key, verdict.state) for verdict in verdicts if verdict.state != "good"] == []
    assert len(verdicts) == 11


def without(found: checks.Subject, menu: str, key: str) -> checks.Subject:
    tables = {**found.tables, menu: [row for row in found.tables[menu] if ours(row) != key]}
    return replace(found, tables=tables)


def adding(found: checks.Subject, menu: str, *rows: dict[str, str], first: bool = False) -> checks.Subject:
    old = list(found.tables[menu])
    return replace(found, tables={**found.tables, menu: [*rows, *old] if first else [*old, *rows]})


def test_what_each_check_finds() -> None:
    good, seen = subject(), set()

    def finds(found: checks.Subject, key: str, *expected: str) -> None:
        told = state(found, key)
        seen.add(told[1])
        assert told == expected, key

    bare = replace(FULL, resolvers=())
    fast = {".id": "*E", "chain": "forward", "action": "fasttrack-connection"}
    finds(good, "order", "good", "order")
    finds(adding(good, FILTER, fast, first=True), "order", "bad", "misplaced")
    finds(without(good, FILTER, "ov-drop"), "order", "bad", "incomplete")
    finds(good, "fasttrack", "good", "fasttrack_below")
    finds(replace(good, tables=rows_of(good.rules)), "fasttrack", "good", "fasttrack_none")
    finds(adding(good, FILTER, fast, first=True), "fasttrack", "bad", "fasttrack_first")
    finds(adding(good, FILTER6, fast, first=True), "fasttrack", "bad", "fasttrack_first")
    finds(adding(good, FILTER, {**fast, "disabled": "true"}, first=True), "fasttrack", "good", "fasttrack_below")
    spared = {**fast, "src-address-list": "!wisp-overdue"}
    finds(adding(good, FILTER, spared, first=True), "fasttrack", "good", "fasttrack_below")
    finds(good, "dns", "good", "dns_named")
    finds(without(good, FILTER, "ov-dns-udp"), "dns", "bad", "dns_rules")
    finds(without(good, LIST, "resolver-203.0.113.53"), "dns", "bad", "dns_rules")
    finds(replace(good, settings=bare, answers_dns=False), "dns", "bad", "dns_none")
    finds(replace(good, settings=bare, answers_dns=True), "dns", "good", "dns_router")
    finds(replace(good, settings=bare, answers_dns=None), "dns", "unknown", "not_read")
    finds(good, "server", "good", "server_answers")
    finds(replace(good, ping=False), "server", "bad", "server_silent")
    finds(replace(good, ping=None), "server", "unknown", "not_read")
    finds(replace(good, settings=Settings()), "server", "warning", "server_none")
    finds(good, "kept", "good", "kept")
    finds(replace(good, settings=Settings()), "kept", "warning", "server_none")
    finds(without(good, NAT, "keep-client-address"), "kept", "bad", "masqueraded")
    finds(adding(good, NAT, MASQUERADE, first=True), "kept", "bad", "masqueraded")
    finds(replace(good, addresses=("203.0.113.1/24",)), "kept", "warning", "same_network")
    _lists_and_ipv6(finds)
    _what_is_ones_own(finds)
    assert seen == set(texts.REASONS)


def _lists_and_ipv6(finds: Callable[..., None]) -> None:
    good = subject()
    six = replace(good, addresses6=("fe80::1/64", "2001:db8::1/64"))
    cut = {".id": "*9", "list": "wisp-overdue", "address": "10.0.0.9", "comment": "wisp:ANA"}
    finds(good, "ipv6", "good", "ipv6_none")
    finds(six, "ipv6", "good", "ipv6_closed")
    finds(without(six, FILTER6, "fwd-overdue6"), "ipv6", "bad", "ipv6_open")
    finds(adding(six, LIST, cut), "ipv6", "warning", "ipv6_empty")
    finds(adding(six, LIST, {**cut, "comment": "otro sistema"}), "ipv6", "good", "ipv6_closed")  # no client of ours
    finds(adding(adding(six, LIST, cut), LIST6, {**cut, "address": "2001:db8:9::/48"}), "ipv6", "good", "ipv6_closed")
    listed = adding(good, LIST, cut, {**cut, "list": "wisp-notice"})
    finds(listed, "unread", "good", "read")
    finds(without(listed, FILTER, "fwd-overdue"), "unread", "bad", "unread")  # the page alone cuts nobody
    finds(without(without(listed, FILTER, "fwd-seen"), NAT, "nat-notice"), "unread", "bad", "unread")
    listed6 = adding(good, LIST6, {**cut, "address": "2001:db8:9::/48"})
    finds(listed6, "unread", "good", "read")
    finds(without(listed6, FILTER6, "fwd-overdue6"), "unread", "bad", "unread")


def _what_is_ones_own(finds: Callable[..., None]) -> None:
    good = subject()
    finds(good, "payments", "good", "payments_open")
    finds(replace(good, settings=replace(FULL, payments=())), "payments", "warning", "payments_none")
    finds(without(good, LIST, "payment-pay.example.net"), "payments", "bad", "payments_closed")
    finds(without(good, FILTER, "ov-allowed"), "payments", "bad", "payments_closed")
    finds(good, "own", "good", "own_free")
    own = {".id": "*9", "list": "wisp-overdue", "address": "10.0.0.0/24", "comment": "wisp:ANA"}
    for address in ("10.0.0.0/24", "203.0.113.10", "203.0.113.53"):  # the router's, the page's, the name server's
        finds(adding(good, LIST, {**own, "address": address}), "own", "bad", "own_cut")
    finds(adding(good, LIST6, {**own, "address": "2001:db8::/64"}), "own", "bad", "own_cut")
    finds(good, "proxy", "good", "proxy_off")
    proxy = replace(good, proxy=True, proxy_port="8080")
    guard = {".id": "*G", "chain": "input", "protocol": "tcp", "dst-port": "8080", "action": "drop"}
    finds(proxy, "proxy", "bad", "proxy_open")
    finds(adding(proxy, FILTER, {**guard, "dst-port": "8291"}), "proxy", "bad", "proxy_open")
    finds(adding(proxy, FILTER, guard), "proxy", "warning", "proxy_guarded")
    finds(good, "duplicates", "good", "single")
    finds(replace(good, duplicates={"10.0.0.7": ["ANA", "EVA"]}), "duplicates", "bad", "shared")


IMPERATIVES = re.compile(
    r"\b(instale|mire|escr[ií]b(a|alos)|compru[eé]be(lo)?|ponga|quítelas|asegúrese|apáguelo|dé|revise)\b", re.IGNORECASE
)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_is_not_right_says_what_to_do(ctx: Flask) -> None:
    """The Spanish sentence of everything that is not good names an action."""
    right = {"order", "fasttrack_below", "fasttrack_none", "dns_named", "dns_router", "server_answers", "kept",
             "ipv6_none", "ipv6_closed", "read", "payments_open", "own_free", "proxy_off", "single"}  # fmt: skip
    filled = dict.fromkeys(("rules", "address", "network", "list", "lists", "sites", "addresses", "port"), "X")
    with force_locale("es"):
        for reason in texts.REASONS.keys() - right:
            said = texts.verdict(reason, filled)
            assert IMPERATIVES.search(said), (reason, said)
