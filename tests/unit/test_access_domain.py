"""The difference between a router's address lists and what is wanted."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wisp.access.domain import Difference, Lists, Wanted, code_of, difference, pause

LISTS = Lists("wisp-overdue", "wisp-notice")
CUT, NOTICE = LISTS.cut, LISTS.notice


@dataclass(frozen=True)
class Entry:
    """As the gateway reads it."""

    id: str
    list: str
    address: str
    comment: str = ""
    disabled: bool = False
    dynamic: bool = False


def cut(number: int, address: str | None = None, code: str = "") -> Wanted:
    return Wanted(number, code or f"C{number}", address or f"10.0.0.{number}", CUT)


def free(number: int) -> Wanted:
    return Wanted(number, f"C{number}", f"10.0.0.{number}", "")


def ours(id: str, number: int, list: str = CUT, **changes: object) -> Entry:
    return replace(Entry(id, list, f"10.0.0.{number}", f"wisp:C{number}"), **changes)


def ids(changes: list) -> set[str]:
    return {change.id for change in changes}


def added(found: Difference) -> set[tuple[str, str, str]]:
    return {(add.list, add.address, add.comment) for add in found.add}


def test_a_wanted_client_without_entry_is_added():
    found = difference([cut(1)], [], LISTS)
    assert added(found) == {(CUT, "10.0.0.1", "wisp:C1")}
    assert not found.remove
    assert not found.verdicts[1].held


def test_an_entry_that_stands_is_left_alone():
    found = difference([cut(1)], [ours("*1", 1)], LISTS)
    assert found.empty
    assert found.verdicts[1].held


def test_a_host_prefix_is_the_bare_address():
    assert difference([cut(1)], [ours("*1", 1, address="10.0.0.1/32")], LISTS).empty
    assert difference([cut(1, "10.0.0.1/32")], [ours("*1", 1)], LISTS).empty


def test_a_free_client_loses_its_entries():
    found = difference([free(1)], [ours("*1", 1), ours("*2", 1, NOTICE)], LISTS)
    assert ids(found.remove) == {"*1", "*2"}
    assert {change.client_id for change in found.remove} == {1}


def test_nobodys_entry_of_ours_is_an_orphan():
    found = difference([], [ours("*1", 1)], LISTS)
    assert ids(found.remove) == {"*1"}
    assert found.remove[0].client_id is None


def test_a_client_cut_after_a_notice_changes_list():
    found = difference([cut(1)], [ours("*1", 1, NOTICE)], LISTS)
    assert added(found) == {(CUT, "10.0.0.1", "wisp:C1")}
    assert ids(found.remove) == {"*1"}


def test_an_old_address_goes_and_the_new_one_comes():
    found = difference([cut(1, "10.0.0.77")], [ours("*1", 1)], LISTS)
    assert added(found) == {(CUT, "10.0.0.77", "wisp:C1")}
    assert ids(found.remove) == {"*1"}
    assert found.verdicts[1].held


def test_only_one_of_several_copies_stays():
    found = difference([cut(1)], [ours("*1", 1), ours("*2", 1, address="10.0.0.1/32"), ours("*3", 1)], LISTS)
    assert not found.add
    assert len(found.remove) == 2


def test_a_disabled_entry_is_enabled_and_its_enabled_twin_preferred():
    found = difference([cut(1)], [ours("*1", 1, disabled=True)], LISTS)
    assert ids(found.enable) == {"*1"}
    assert not found.add
    assert not found.verdicts[1].held
    found = difference([cut(1)], [ours("*1", 1, disabled=True), ours("*2", 1)], LISTS)
    assert not found.enable
    assert ids(found.remove) == {"*1"}


def test_a_foreign_entry_with_the_address_does_the_work():
    found = difference([cut(1)], [Entry("*1", CUT, "10.0.0.1", "blocked by Luis")], LISTS)
    assert found.empty
    assert found.verdicts[1].foreign
    assert found.verdicts[1].problem == ""
    assert found.foreign == 1


@pytest.mark.parametrize(
    "entry",
    [
        Entry("*1", CUT, "10.0.0.1", "", disabled=True),
        Entry("*1", CUT, "10.0.0.0/24", ""),
        Entry("*1", NOTICE, "10.0.0.1", ""),
        Entry("*1", "bogons", "10.0.0.1", "wisp:C1"),
    ],
)
def test_a_foreign_entry_that_does_not_hold_exactly_this_does_not_count(entry):
    found = difference([cut(1)], [entry], LISTS)
    assert added(found) == {(CUT, "10.0.0.1", "wisp:C1")}
    assert not found.remove


@pytest.mark.parametrize("address", ["10.0.0.1", "10.0.0.1/32", "10.0.0.0/30", "10.0.0.1-10.0.0.9", "0.0.0.0/0"])
@pytest.mark.parametrize("name", [CUT, NOTICE])
def test_a_foreign_entry_that_still_blocks_a_freed_client_is_a_failure(name, address):
    found = difference([free(1)], [ours("*1", 1), Entry("*2", name, address, "old list")], LISTS)
    assert ids(found.remove) == {"*1"}
    assert found.verdicts[1].problem == f"foreign: {name}"


@pytest.mark.parametrize(
    "address", ["10.0.0.2", "10.0.0.2-10.0.0.9", "10.0.1.0/24", "pay.example.net", "2001:db8::/32"]
)
def test_a_foreign_entry_elsewhere_does_not_hinder_a_release(address):
    found = difference([free(1)], [Entry("*2", CUT, address, "")], LISTS)
    assert found.verdicts[1].problem == ""


def test_a_dynamic_entry_is_foreign_whatever_its_comment():
    found = difference([free(1)], [ours("*1", 1, dynamic=True)], LISTS)
    assert found.empty
    assert found.verdicts[1].problem == f"foreign: {CUT}"
    assert difference([cut(1)], [ours("*1", 1, dynamic=True)], LISTS).verdicts[1].foreign


@pytest.mark.parametrize(
    "comment", ["", "wisp", "wisp:", "wisp: C1", "wisp:C1 (Ana)", "Wisp:C1", "wisp-rule:x", "wisp:C1\n"]
)
def test_only_our_exact_mark_is_ours(comment):
    assert code_of(Entry("*1", CUT, "10.0.0.1", comment)) is None


def test_a_shared_address_keeps_one_entry_while_any_client_belongs_on_the_list():
    both = [cut(1, "10.0.0.9"), cut(2, "10.0.0.9")]
    found = difference(both, [], LISTS)
    assert added(found) == {(CUT, "10.0.0.9", "wisp:C1")}
    assert found.verdicts[2].shared_with == 1
    # the one that holds the entry keeps it
    held = difference(both, [Entry("*1", CUT, "10.0.0.9", "wisp:C2")], LISTS)
    assert held.empty
    assert held.verdicts[1].shared_with == 2
    # one of them paid: the address stays, under the other's name, and the one who paid is told
    paid = difference(
        [cut(1, "10.0.0.9"), Wanted(2, "C2", "10.0.0.9", "")], [Entry("*1", CUT, "10.0.0.9", "wisp:C2")], LISTS
    )
    assert added(paid) == {(CUT, "10.0.0.9", "wisp:C1")}
    assert ids(paid.remove) == {"*1"}
    assert paid.verdicts[2].problem == "shared: C1"


def test_two_clients_that_swap_addresses():
    found = difference([cut(1, "10.0.0.2"), cut(2, "10.0.0.1")], [ours("*1", 1), ours("*2", 2)], LISTS)
    assert ids(found.remove) == {"*1", "*2"}
    assert added(found) == {(CUT, "10.0.0.2", "wisp:C1"), (CUT, "10.0.0.1", "wisp:C2")}


def test_without_a_known_address_the_entry_that_stands_stays():
    client = Wanted(1, "C1", None, CUT)
    found = difference([client], [ours("*1", 1)], LISTS)
    assert found.empty
    assert found.verdicts[1].address == "10.0.0.1"
    assert difference([client], [], LISTS).verdicts[1].problem == "no_address"


def test_an_address_that_somebody_else_uses_now_is_given_up():
    found = difference([Wanted(1, "C1", None, CUT)], [ours("*1", 1)], LISTS, busy={"10.0.0.1"})
    assert ids(found.remove) == {"*1"}
    assert found.verdicts[1].problem == "no_address"


@pytest.mark.parametrize("address", ["2001:db8::1", "10.0.0.0/24", "ana.example.net", ""])
def test_what_is_not_one_ipv4_address_is_not_sent(address):
    found = difference([Wanted(1, "C1", address, CUT)], [], LISTS)
    assert found.empty
    assert found.verdicts[1].problem == "not_ipv4"


# IPv6 -----------------------------------------------------------------------------------------------------


def cut6(number: int, address: str | None = "2001:db8::1", name: str = CUT) -> Wanted:
    return Wanted(number, f"C{number}", address, name)


@pytest.mark.parametrize(
    ("wanted", "standing"),
    [("2001:db8::1", "2001:db8::1/128"), ("2001:db8::/64", "2001:db8::/64"), ("2001:DB8:0::1", "2001:db8::1/128")],
)
def test_an_ipv6_address_is_the_same_however_it_is_written(wanted, standing):
    found = difference([cut6(1, wanted)], [Entry("*1", CUT, standing, "wisp:C1")], LISTS, ipv6=True)
    assert found.empty
    assert found.verdicts[1].problem == ""


def test_families_refuse_each_others_addresses():
    assert difference([cut6(1, "10.0.0.1")], [], LISTS, ipv6=True).verdicts[1].problem == "not_ipv6"
    assert difference([cut6(1)], [], LISTS).verdicts[1].problem == "not_ipv4"


@pytest.mark.parametrize(
    ("mine", "theirs", "problem"),
    [
        ("2001:db8:5::7", "2001:db8:5::/64", f"foreign: {CUT}"),
        ("2001:db8:5::/56", "2001:db8:5:1::9/128", f"foreign: {CUT}"),
        ("2001:db8:5::7", "2001:db8:6::/64", ""),
        ("2001:db8:5::7", "::/0", f"foreign: {CUT}"),
        ("2001:db8:5::7", "host.example.net", ""),
    ],
)
def test_a_foreign_ipv6_entry_that_touches_a_freed_client_is_a_failure(mine, theirs, problem):
    found = difference([cut6(1, mine, "")], [Entry("*2", CUT, theirs, "x")], LISTS, ipv6=True)
    assert found.verdicts[1].problem == problem


def test_a_shared_ipv6_prefix_keeps_one_entry():
    both = [cut6(1, "2001:db8::/64"), cut6(2, "2001:db8::/64")]
    found = difference(both, [], LISTS, ipv6=True)
    assert added(found) == {(CUT, "2001:db8::/64", "wisp:C1")}
    assert found.verdicts[2].shared_with == 1


def test_a_list_that_was_renamed_is_emptied():
    lists = Lists("morosos", "avisos", former=(CUT,))
    found = difference([Wanted(1, "C1", "10.0.0.1", "morosos")], [ours("*1", 1), Entry("*2", CUT, "10.0.0.2")], lists)
    assert ids(found.remove) == {"*1"}
    assert added(found) == {("morosos", "10.0.0.1", "wisp:C1")}


def test_pauses_grow_and_end():
    assert [pause(n) for n in (0, 1, 2, 3, 6, 7, 1000)] == [30, 30, 60, 120, 900, 900, 900]


# Properties ---------------------------------------------------------------------------------------------

ADDRESSES = [f"10.0.0.{n}" for n in range(1, 6)]
CODES = [f"C{n}" for n in range(1, 6)]
entry_parts = st.tuples(
    st.sampled_from([CUT, NOTICE, "bogons"]),
    st.sampled_from([*ADDRESSES, "10.0.0.1/32", "10.0.0.0/29", "10.0.0.2-10.0.0.3", "host.example.net"]),
    st.sampled_from(["", "by hand", "wisp:", "wisp: x", *(f"wisp:{code}" for code in CODES), "wisp:GONE"]),
    st.booleans(),
    st.booleans(),
)
wanted_parts = st.tuples(st.one_of(st.none(), st.sampled_from(ADDRESSES)), st.sampled_from([CUT, NOTICE, ""]))


@st.composite
def situations(draw) -> tuple[list[Wanted], list[Entry]]:
    clients = draw(st.dictionaries(st.sampled_from(range(1, 6)), wanted_parts))
    rows = draw(st.lists(entry_parts, max_size=14))
    entries: list[Entry] = []
    enabled: set[tuple[str, str]] = set()
    for number, parts in enumerate(rows, start=1):
        entry = Entry(f"*{number}", *parts)
        key = entry.list, entry.address.removesuffix("/32")
        if not entry.disabled and key in enabled:  # the router takes an enabled address once per list
            entry = replace(entry, disabled=True)
        if not entry.disabled:
            enabled.add(key)
        entries.append(entry)
    return [Wanted(n, f"C{n}", *parts) for n, parts in clients.items()], entries


def apply(entries: list[Entry], found: Difference) -> list[Entry]:
    """What the router holds afterwards; fails where it would refuse a command."""
    table = {entry.id: entry for entry in entries}

    def enabled() -> set[tuple[str, str]]:
        return {(e.list, e.address.removesuffix("/32")) for e in table.values() if not e.disabled}

    for change in found.remove:
        del table[change.id]
    for change in found.enable:
        assert (change.list, change.address) not in enabled()
        table[change.id] = replace(table[change.id], disabled=False)
    for number, add in enumerate(found.add):
        assert (add.list, add.address) not in enabled()
        table[f"+{number}"] = Entry(f"+{number}", add.list, add.address, add.comment)
    return list(table.values())


def is_foreign(entry: Entry) -> bool:
    return entry.list == "bogons" or code_of(entry) is None


@given(situations())
def test_what_is_not_ours_is_never_changed(situation):
    wanted, entries = situation
    after = apply(entries, difference(wanted, entries, LISTS))
    assert [e for e in after if is_foreign(e)] == [e for e in entries if is_foreign(e)]


@given(situations())
def test_afterwards_the_lists_say_what_is_wanted(situation):
    wanted, entries = situation
    found = difference(wanted, entries, LISTS)
    after = apply(entries, found)
    standing = {(e.list, e.address.removesuffix("/32")) for e in after if not e.disabled}
    mine = [e for e in after if not is_foreign(e)]
    assert all(not e.disabled for e in mine)
    assert len({e.comment for e in mine}) == len(mine)
    for client in wanted:
        verdict = found.verdicts[client.client_id]
        if client.list and not verdict.problem:
            assert (client.list, verdict.address) in standing
    by_code = {client.code: client for client in wanted}
    for entry in mine:
        client = by_code[code_of(entry) or ""]
        assert client.list == entry.list
        assert client.address in (None, entry.address.removesuffix("/32"))


@given(situations())
def test_a_second_look_finds_nothing_to_do(situation):
    wanted, entries = situation
    after = apply(entries, difference(wanted, entries, LISTS))
    assert difference(wanted, after, LISTS).empty
