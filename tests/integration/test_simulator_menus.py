"""What the simulated router's menus accept, refuse and print: the rules of the real ones."""

import re
from collections.abc import Callable
from time import sleep

import pytest

from wisp.demo.routeros import Router
from wisp.demo.routeros.codec import Decoder
from wisp.demo.routeros.menus import MENUS
from wisp.demo.routeros.reply import Request
from wisp.gateway import properties

LISTS, LISTS6 = "/ip/firewall/address-list", "/ipv6/firewall/address-list"
SECRET, ACTIVE, PROFILE = "/ppp/secret", "/ppp/active", "/ppp/profile"
QUEUE, LEASE, USER = "/queue/simple", "/ip/dhcp-server/lease", "/ip/hotspot/user"
FILTER, NAT = "/ip/firewall/filter", "/ip/firewall/nat"


class Client:
    """Sends commands to the router without a line in between."""

    def __init__(self, **options: object) -> None:
        self.router = Router(**options)  # type: ignore[arg-type]

    def sentences(self, *words: str) -> list[list[str]]:
        return Decoder().feed(self.router.execute(Request.parse(list(words))).encoded(None))

    def do(self, path: str, *words: str, **values: str) -> str:
        """What the command returned; of an error its text, in front of it the category where it has one."""
        named = [f"={name.replace('_', '-')}={value}" for name, value in values.items()]
        *errors, done = self.sentences(path, *words, *named)
        if errors and errors[0][0] == "!trap":
            return " ".join(word.removeprefix("=message=").removeprefix("=") for word in errors[0][1:])
        return done[1].removeprefix("=ret=") if len(done) > 1 else ""

    def rows(self, menu: str, *words: str) -> list[dict[str, str]]:
        return [
            {name: value for name, _, value in (word[1:].partition("=") for word in sentence[1:])}
            for sentence in self.sentences(f"{menu}/print", *words)
            if sentence[0] == "!re"
        ]

    def column(self, menu: str, name: str) -> list[str | None]:
        return [row.get(name) for row in self.rows(menu)]


@pytest.fixture
def client() -> Client:
    return Client()


# Address lists


def test_a_list_member_is_there_once_among_enabled_rows(client: Client) -> None:
    add = f"{LISTS}/add"
    assert client.do(add, list="a", address="10.0.0.1") == "*1"
    assert client.do(add, list="a", address="10.0.0.1/32", comment="x") == "failure: already have such entry"
    assert client.do(add, list="b", address="10.0.0.1") == "*2"
    assert client.do(add, list="a", address="10.0.0.1", disabled="yes") == "*3"
    assert client.do(f"{LISTS}/enable", "=.id=*3") == "failure: already have such entry"
    assert client.do(f"{LISTS}/disable", "=.id=*1") == ""
    assert client.do(f"{LISTS}/enable", "=.id=*3") == ""
    assert client.do(f"{LISTS}/set", "=.id=*2", list="a") == "failure: already have such entry"
    assert client.do(f"{LISTS}/remove", "=.id=*3") == ""
    assert client.do(add, list="a", address="10.0.0.1") == "*4"
    assert client.column(LISTS, "disabled") == ["true", "false", "false"]


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("10.0.0.1/32", "10.0.0.1"),
        ("10.0.0.7/24", "10.0.0.0/24"),
        ("10.0.0.0-10.0.0.255", "10.0.0.0/24"),
        ("10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9"),
        ("pay.example.net", "pay.example.net"),
    ],
)
def test_addresses_are_printed_in_one_form(client: Client, typed: str, printed: str) -> None:
    client.do(f"{LISTS}/add", list="a", address=typed)
    assert client.column(LISTS, "address") == [printed]


@pytest.mark.parametrize("address", ["2001:db8::1", "10.0.0.300", "10.0.0.0/33", "a b", "-x", "a" * 300 + "!"])
def test_what_is_no_address_is_no_dns_name_either(client: Client, address: str) -> None:
    assert client.do(f"{LISTS}/add", list="a", address=address) == f"failure: {address} is not a valid dns name"


def test_ipv6_lists_are_a_table_of_their_own(client: Client) -> None:
    assert client.do(f"{LISTS6}/add", list="a", address="2001:DB8::1") == "*1"
    assert client.do(f"{LISTS6}/add", list="a", address="2001:db8:0::1/128") == "failure: already have such entry"
    assert client.column(LISTS, "address") == []


def test_a_timed_row_is_dynamic_and_runs_out(client: Client) -> None:
    client.do(f"{LISTS}/add", list="a", address="10.0.0.1", timeout="1d2h")
    client.do(f"{LISTS}/add", list="a", address="10.0.0.2")
    assert client.do(f"{LISTS}/disable", "=.id=*1") == "failure: cannot have disabled dynamic entry"
    assert [(row["dynamic"], row.get("timeout")) for row in client.rows(LISTS)] == [("true", "1d2h"), ("false", None)]
    client.do(f"{LISTS}/set", "=.id=*1", timeout="0")
    sleep(0.01)
    assert client.column(LISTS, "address") == ["10.0.0.2"]


def test_a_reboot_forgets_timed_rows_and_sessions(client: Client) -> None:
    client.do(f"{LISTS}/add", list="a", address="10.0.0.1", timeout="1h")
    client.do(f"{LISTS}/add", list="a", address="10.0.0.2")
    client.do(f"{SECRET}/add", name="u")
    client.router.dial_all()
    client.router.lose_power()
    assert client.column(LISTS, "address") == ["10.0.0.2"]
    assert client.rows(ACTIVE) == []


def test_ids_are_upper_case_hex_and_never_used_again(client: Client) -> None:
    ids = [client.do(f"{LISTS}/add", list="a", address=f"10.0.0.{n}") for n in range(1, 12)]
    assert ids[-1] == "*B"
    client.do(f"{LISTS}/remove", "=.id=*B")
    assert client.do(f"{LISTS}/add", list="a", address="10.0.0.11") == "*C"


# print, queries and selections


@pytest.fixture
def listed(client: Client) -> Callable[..., list[str]]:
    for number, name in enumerate(["a", "a", "b", "c"], start=1):
        client.do(f"{LISTS}/add", list=name, address=f"10.0.0.{number}", **({"comment": "x"} if number == 1 else {}))

    def find(*queries: str) -> list[str]:
        return [row["address"].rpartition(".")[2] for row in client.rows(LISTS, *queries)]

    return find


@pytest.mark.parametrize(
    ("queries", "found"),
    [
        ([], "1234"),
        (["?list=a"], "12"),
        (["?=list=a"], "12"),
        (["?comment"], "1"),
        (["?-comment"], "234"),
        (["?>comment="], "1"),
        (["?list=a", "?list=b", "?#|"], "123"),
        (["?list=a", "?list=b", "?list=c", "?#||"], "1234"),
        (["?list=a", "?comment=x"], "1"),
        (["?list=a", "?comment=x", "?#&"], "1"),
        (["?list=a", "?#!"], "34"),
        (["?list=a", "?list=b", "?#|!"], "4"),
        (["?list=a", "?#.&"], "12"),
        (["?list=b", "?list=a", "?#1"], "3"),
        (["?list=b", "?list=a", "?#1.|"], "3"),
        (["?>list=a"], "34"),
        (["?<list=b"], "12"),
        (["?address=10.0.0.1/32"], ""),
    ],
)
def test_queries_are_a_stack(listed: Callable[..., list[str]], queries: list[str], found: str) -> None:
    assert "".join(listed(*queries)) == found


def test_a_list_of_properties_is_exactly_that(client: Client) -> None:
    client.do(f"{LISTS}/add", list="a", address="10.0.0.1")
    client.do(f"{LISTS}/add", list="a", address="10.0.0.2", comment="")
    assert client.rows(LISTS, "=.proplist=address,comment") == [{"address": "10.0.0.1"}, {"address": "10.0.0.2"}]
    assert client.do(f"{LISTS}/print", "=count-only=") == "2"
    assert client.do(f"{LISTS}/print", "=count-only=", "?address=10.0.0.2") == "1"
    assert client.do(f"{LISTS}/print", colour="red") == "unknown parameter colour"


@pytest.mark.parametrize(("atomic", "left"), [(False, ["10.0.0.2"]), (True, ["10.0.0.1", "10.0.0.2"])])
def test_a_comma_list_with_a_missing_id_fails(atomic: bool, left: list[str]) -> None:
    client = Client(atomic_batches=atomic)
    for number in (1, 2):
        client.do(f"{LISTS}/add", list="a", address=f"10.0.0.{number}")
    assert client.do(f"{LISTS}/remove", "=.id=*1,*77,*2") == "no such item"
    assert client.column(LISTS, "address") == left


@pytest.mark.parametrize(
    ("version", "verb", "words", "answer"),
    [
        ("7.20.6", "remove", ["?list=a"], "missing =.id="),
        ("6.49.19", "remove", ["?list=a"], ""),
        ("7.20.6", "remove", ["=.id=*9"], "no such item"),
        ("6.49.19", "remove", ["=.id=*9"], "no such item (4)"),
        ("7.20.6", "fly", [], "no such command"),
        ("7.20.6", "add", ["=colour=red"], "unknown parameter colour"),
        ("7.20.6", "add", ["=dynamic=yes"], "unknown parameter dynamic"),
        ("7.20.6", "add", ["=list=a"], "missing value(s) of argument(s) address"),
        ("7.20.6", "add", ["=list=a", "=address=10.0.0.2", "=disabled=maybe"], "invalid value for argument disabled"),
    ],
)
def test_mistakes_have_their_texts(version: str, verb: str, words: list[str], answer: str) -> None:
    client = Client(version=version)
    client.do(f"{LISTS}/add", list="a", address="10.0.0.1")
    assert client.do(f"{LISTS}/{verb}", *words) == answer
    assert len(client.rows(LISTS)) == 1


def test_menus_that_are_not_there(client: Client) -> None:
    assert client.sentences("/ip/nowhere/print") == [
        ["!trap", "=category=0", "=message=no such command or directory (nowhere)"],
        ["!trap", "=message=no such command prefix"],
        ["!done"],
    ]
    assert client.sentences("/ip/print") == [["!trap", "=message=no such command"], ["!done"]]
    assert Client(version="6.49").sentences("/nowhere/print") == [
        ["!trap", "=message=no such command prefix"],
        ["!done"],
    ]


def test_get_find_comment_and_unset(client: Client) -> None:
    client.do(f"{LISTS}/add", list="a", address="10.0.0.1")
    client.do(f"{LISTS}/comment", "=numbers=*1", comment="hola")
    assert client.do(f"{LISTS}/get", "=.id=*1", value_name="comment") == "hola"
    client.do(f"{LISTS}/unset", "=.id=*1", value_name="comment")
    assert "comment" not in client.rows(LISTS)[0]
    assert client.do(f"{LISTS}/find") == "*1"


def test_single_rows_have_no_id(client: Client) -> None:
    client.do("/system/identity/set", name="Torre")
    assert client.rows("/system/identity") == [{"name": "Torre"}]
    assert client.do("/system/resource/set", version="1") == "no such command"


# PPP


def test_a_secret_is_there_once_and_refers_to_a_profile(client: Client) -> None:
    assert client.do(f"{SECRET}/add", name="ana", password="x", remote_address="10.0.0.9") == "*1"
    assert client.do(f"{SECRET}/add", name="ana", service="l2tp") == "failure: secret with the same name already exists"
    assert client.do(f"{SECRET}/add", name="b", profile="gold") == (
        "category=1 input does not match any value of profile"
    )
    assert client.do(f"{SECRET}/add", name="b", remote_address="10.0.0") == (
        "invalid value for argument remote-address"
    )
    assert client.do(f"{PROFILE}/add", name="gold", shared_users="1") == "unknown parameter shared-users"
    assert client.do(f"{PROFILE}/add", name="gold") == "*1"
    assert client.do(f"{SECRET}/set", "=.id=ana", profile="gold") == ""
    row = client.rows(SECRET)[0]
    assert (row["profile"], row["service"], row["caller-id"], row["disabled"]) == ("gold", "any", "", "false")
    assert "comment" not in row
    assert client.do(f"{PROFILE}/remove", "=.id=default") != ""


def test_a_session_outlives_its_secrets_changes_and_comes_back_with_the_new_ones() -> None:
    client = Client(dial_in=0.0)
    client.do(f"{PROFILE}/add", name="cut", address_list="wisp-overdue")
    client.do(f"{SECRET}/add", name="ana", remote_address="10.0.0.9")
    assert client.column(ACTIVE, "address") == ["10.0.0.9"]
    assert client.column(ACTIVE, ".id") == ["*80000001"]
    client.do(f"{SECRET}/set", "=.id=ana", profile="cut")
    assert client.column(LISTS, "address") == []
    client.do(f"{ACTIVE}/remove", "=.id=*80000001")
    assert [(row["list"], row["address"], row["dynamic"]) for row in client.rows(LISTS)] == [
        ("wisp-overdue", "10.0.0.9", "true")
    ]
    assert client.column(ACTIVE, ".id") == ["*80000002"]
    client.do(f"{SECRET}/disable", "=.id=ana")
    assert len(client.rows(ACTIVE)) == 1
    client.do(f"{ACTIVE}/remove", "=.id=*80000002")
    assert client.rows(ACTIVE) == client.rows(LISTS) == []
    client.do(f"{SECRET}/enable", "=.id=ana")
    assert len(client.rows(ACTIVE)) == 1
    assert client.do(f"{ACTIVE}/remove", "=.id=*80000002") == "no such item (4)"


def test_nobody_dials_in_unless_asked(client: Client) -> None:
    client.do(f"{SECRET}/add", name="ana")
    assert client.rows(ACTIVE) == []
    client.router.dial_all()
    assert client.column(ACTIVE, "address") == ["100.64.0.2"]
    client.do(f"{ACTIVE}/remove", "=.id=*80000001")
    assert client.rows(ACTIVE) == []


# Queues


def test_rates_are_printed_in_bits(client: Client) -> None:
    assert client.do(f"{QUEUE}/add", target="10.0.0.9", max_limit="10M/20M", limit_at="512k") == "*1"
    row = client.rows(QUEUE)[0]
    assert (row["name"], row["target"], row["max-limit"], row["limit-at"]) == (
        "queue1",
        "10.0.0.9/32",
        "10000000/20000000",
        "512000/512000",
    )
    assert (row["burst-time"], row["priority"], row["parent"]) == ("0s/0s", "8/8", "none")


def test_queues_refuse_what_does_not_fit(client: Client) -> None:
    add = f"{QUEUE}/add"
    client.do(add, name="q", target="10.0.0.9,10.0.1.0/24,ether2")
    assert client.column(QUEUE, "target") == ["10.0.0.9/32,10.0.1.0/24,ether2"]
    assert client.do(add, name="q", target="10.0.0.8") == "failure: already have such name"
    assert client.do(add, target="10.0.0.8", parent="x") == "category=1 input does not match any value of parent"
    assert client.do(add, target="10.0.0.8", limit_at="2M", max_limit="1M/1M") == (
        "failure: upload-max-limit less than upload-limit"
    )
    assert client.do(add, target="nowhere9") == "invalid value for argument target"


# Hotspot and leases


def test_hotspot_users_are_there_once_a_server(client: Client) -> None:
    assert client.do(f"{USER}/add", name="u", password="p", mac_address="aa-bb-cc-00-11-22") == "*1"
    assert client.do(f"{USER}/add", name="u", server="hs1") == "*2"
    assert client.do(f"{USER}/add", name="u") == "failure: already have user with this name for this server"
    assert client.column(USER, "mac-address") == ["AA:BB:CC:00:11:22", None]
    assert client.do(f"{USER}/add", name="v", mac_address="zz") == "invalid value of mac-address, mac address required"


@pytest.mark.parametrize(
    ("version", "menu", "values", "answer"),
    [
        ("7.20.6", "/ip/hotspot/user/profile", {"name": "x", "comment": "ours"}, "unknown parameter comment"),
        ("7.20.6", USER, {"name": "x", "comment": "ours"}, ""),
        ("7.20.6", NAT, {"chain": "dstnat", "tls-host": "x"}, "unknown parameter tls-host"),
        ("7.20.6", PROFILE, {"name": "x", "shared-users": "1"}, "unknown parameter shared-users"),
    ],
)
def test_only_documented_properties_are_taken(version: str, menu: str, values: dict[str, str], answer: str) -> None:
    client = Client(version=version)
    said = client.do(f"{menu}/add", *(f"={name}={value}" for name, value in values.items()))
    assert answer in said if answer else said.startswith("*")


def test_what_is_written_depends_on_the_version() -> None:
    assert "tls-host" in (properties.writable(NAT, (6, 49, 19)) or ())
    assert "tls-host" not in (properties.writable(NAT, (7, 20, 6)) or ())
    assert "otp-secret" in (properties.writable(USER, (7, 21, 3)) or ())
    assert "otp-secret" not in (properties.writable(USER, (7, 21, 2)) or ())
    for menu in MENUS:
        ours = {name for name, prop in menu.props.items() if not prop.readonly}
        assert menu.path not in properties.written() or ours & (properties.writable(menu.path, (7, 20)) or set())


def test_leases_are_unique_and_dynamic_ones_are_made_static_first(client: Client) -> None:
    add = f"{LEASE}/add"
    assert client.do(add, address="10.0.0.5", mac_address="02:00:00:00:00:05", server="d1") == "*1"
    assert client.do(add, address="10.0.0.5", mac_address="02:00:00:00:00:06") == (
        "failure: already have static lease with this IP address"
    )
    assert client.do(add, address="10.0.0.6", mac_address="02:00:00:00:00:05") == (
        "failure: already have static lease for this client"
    )
    assert client.do(add, address="10.0.0.6", mac_address="02:00:00:00:00:05", server="d2") == "*2"
    client.router.load(LEASE, [{"address": "10.0.0.7", "mac-address": "02:00:00:00:00:07", "dynamic": "true"}])
    assert client.do(f"{LEASE}/set", "=.id=*3", address_lists="a") == "failure: can not change dynamic lease"
    assert client.do(f"{LEASE}/make-static", "=.id=*3") == ""
    assert client.do(f"{LEASE}/set", "=.id=*3", address_lists="a") == ""


# Rules


def test_rules_have_an_order(client: Client) -> None:
    first, second = (client.do(f"{FILTER}/add", chain="forward", comment=name) for name in "ab")
    client.do(f"{FILTER}/add", f"=place-before={first}", chain="forward", comment="c")
    assert client.column(FILTER, "comment") == ["c", "a", "b"]
    assert client.do(f"{FILTER}/move", f"=.id={second}", destination=first) == ""
    assert client.column(FILTER, "comment") == ["c", "b", "a"]
    client.do(f"{FILTER}/move", "=.id=*3", destination="*99")
    assert client.column(FILTER, "comment") == ["b", "a", "c"]
    assert client.do(f"{FILTER}/move", "=.id=*3", destination="*3") == "failure: can not move object before itself"
    assert client.do(f"{FILTER}/add", "=place-before=*99", chain="forward") == "no such item"
    assert len(client.rows(FILTER)) == 3


def test_rules_may_be_there_twice_and_print_what_was_written(client: Client) -> None:
    for _ in range(2):
        client.do(f"{NAT}/add", chain="dstnat", action="dst-nat", protocol="tcp", dst_port="80", to_ports="8081")
    rows = client.rows(NAT)
    assert len(rows) == 2
    assert "disabled" not in rows[0]
    client.do(f"{NAT}/disable", "=.id=*1")
    assert client.column(NAT, "disabled") == ["true", None]
    client.do(f"{NAT}/set", "=.id=*2", dst_port="", to_ports="", src_address="!10.0.0.1/32")
    assert ("dst-port" in client.rows(NAT)[1], client.rows(NAT)[1]["src-address"]) == (False, "!10.0.0.1")


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ({"dst_port": "80"}, "failure: ports can be specified if proto is tcp,udp,udp-lite,dccp,sctp"),
        ({"action": "fly"}, "category=1 input does not match any value of action"),
        ({"in_interface": "ether99"}, "category=1 input does not match any value of interface"),
        ({"src_address": "x"}, "invalid value for argument src-address"),
    ],
)
def test_rules_refuse_what_makes_no_sense(client: Client, values: dict[str, str], answer: str) -> None:
    assert client.do(f"{FILTER}/add", chain="forward", **values) == answer


@pytest.mark.parametrize(
    ("version", "form"), [("7.10", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), ("7.9", r"[a-z]{3}/\d\d/\d{4} \d\d:\d\d:\d\d")]
)
def test_dates_depend_on_the_version(version: str, form: str) -> None:
    client = Client(version=version)
    client.do(f"{LISTS}/add", list="a", address="10.0.0.1")
    [created] = client.column(LISTS, "creation-time")
    assert created is not None
    assert re.fullmatch(form, created)


def test_without_the_permission_reading_goes_on(client: Client) -> None:
    client.router.switches.no_permission = True
    assert client.do(f"{LISTS}/add", list="a", address="10.0.0.1") == "not enough permissions (9)"
    assert client.rows(LISTS) == []
    assert client.sentences(f"{LISTS}/print") == [["!empty"], ["!done"]]


def test_bytes_of_texts_stay_as_they_are(client: Client) -> None:
    client.router.load(LISTS, [{"list": "a", "address": "10.0.0.1", "comment": "ñandú".encode("cp1252")}])
    assert client.column(LISTS, "comment") == ["ñandú"]  # latin-1 has these letters where cp1252 has them
    assert client.router.snapshot(LISTS)[0]["comment"] == "ñandú"
    client.router.load(LISTS, [{"list": "b", "address": "10.0.0.1", "comment": "ñandú"}])
    assert client.column(LISTS, "comment")[1] == "ñandú".encode().decode("latin-1")
    assert client.router.snapshot(LISTS)[1]["comment"] == "ñandú"
