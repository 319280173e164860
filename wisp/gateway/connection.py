"""One session with one router: log in, read, change, hang up."""

import contextlib
import hashlib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from time import monotonic

from wisp.gateway import menus
from wisp.gateway.errors import BROKEN, ErrorCode, GatewayError, translate, trap_code
from wisp.gateway.exchange import Exchange, Reply, Words
from wisp.gateway.records import (
    ActivePpp,
    Command,
    Entry,
    NewEntry,
    Outcome,
    PppSecret,
    Resource,
    Row,
    SimpleQueue,
    Status,
    flag,
    moment,
    status_of_trap,
)
from wisp.gateway.target import Target
from wisp.gateway.tls import fingerprint_of, handshake, secure
from wisp.gateway.transport import Transport, open_socket
from wisp.gateway.wire import from_wire

WINDOW = 250
"""Commands under way at once. A fast router behind a slow line answers 1,000 in about eight turns."""
BATCH = 100
"""Ids in one command. A small router needs up to some seconds for that many."""
BATCH_WINDOW = 4

_IPV4, _IPV6 = menus.LISTS, menus.LISTS6
_OK = Status.ok  # a member of an enumeration is slow to look up


class Connection:
    """An open session. After an error that is not the router's answer to a command it is closed for good:
    a late answer would be taken for the next one's. `error` then says what broke it."""

    def __init__(self, transport: Transport) -> None:
        self.error: GatewayError | None = None
        self._transport = transport
        self._exchange = Exchange(transport)
        self._closed = False

    def close(self) -> None:
        """Hang up. May be called again."""
        self._closed = True
        self._transport.close()

    # Reading -----------------------------------------------------------------------------------------

    def print(self, path: str, proplist: Sequence[str], *queries: str) -> list[Row]:
        """The rows of a menu (`/ppp/secret`), only the named properties, only those that match the query words.

        Raises GatewayError; `trap` with the text `no such command…` where this router has no such menu.
        """
        return _for_people(self._print(path, proplist, queries))

    def read(self, path: str, proplist: Sequence[str], *queries: str) -> list[Row]:
        """The same with every text in the router's own bytes, one character (latin-1) each: for comparing and for
        copying. `text_of` makes one readable, `bytes_of` makes ours comparable. Queries are sent as UTF-8."""
        return self._print(path, proplist, queries).rows

    def read_whole(self, path: str, *queries: str) -> list[Row]:
        """The rows of a menu with all their properties, `.id` among them, in the router's own bytes."""
        return self._print(path, (), queries).rows

    def _print(self, path: str, proplist: Sequence[str], queries: tuple[str, ...]) -> Reply:
        wanted = {".proplist": ",".join(proplist)} if proplist else {}
        reply = self._answer(Command(f"{path}/print", wanted, queries).words())
        if (".id" in proplist or not proplist) and not all(".id" in row for row in reply.rows):
            self.error = GatewayError(ErrorCode.protocol, f"{path}: a row without its id")
            self.close()
            raise self.error
        return reply

    def query(self, command: Command) -> list[Row]:
        """The rows that a command which only asks (`/ping`) answers. Raises GatewayError."""
        return _for_people(self._answer(command.words()))

    def identity(self) -> str:
        """The router's name."""
        return self._single("/system/identity", ["name"]).get("name", "")

    def resource(self) -> Resource:
        """Version, board, uptime and load."""
        row = self._single("/system/resource", ["version", "board-name", "uptime", "cpu-load"])
        load = row.get("cpu-load", "").rstrip("%")
        return Resource(
            version=row.get("version", ""),
            board=row.get("board-name", ""),
            uptime=row.get("uptime", ""),
            cpu_load=int(load) if load.isdecimal() else None,
        )

    def clock(self) -> datetime | None:
        """The router's date and time with its offset; None where it says nothing that we understand."""
        row = self._single(menus.CLOCK, ["date", "time", "gmt-offset"])
        return moment(row.get("date", ""), row.get("time", ""), row.get("gmt-offset", ""))

    def policies(self, username: str) -> frozenset[str] | None:
        """What the router lets this user do (`read`, `write`, `sensitive` …); None where it does not say (the users are
        kept elsewhere)."""
        users = self.print(menus.USER, ["group"], f"?name={username}")
        groups = self.print(menus.USER_GROUP, ["policy"], f"?name={users[0].get('group', '')}") if users else []
        return frozenset(groups[0].get("policy", "").split(",")) if groups else None

    def read_lists(self, names: Sequence[str], *, ipv6: bool = False) -> list[Entry]:
        """All entries of these address lists (of every list, where none is named), ours and foreign, in one print."""
        queries = [f"?list={name}" for name in names] + ["?#|"] * (len(names) - 1)
        proplist = [".id", "list", "address", "comment", "disabled", "dynamic"]
        return [
            Entry(
                id=row[".id"],
                list=row.get("list", ""),
                address=row.get("address", ""),
                comment=row.get("comment", ""),
                disabled=flag(row, "disabled"),
                dynamic=flag(row, "dynamic"),
            )
            for row in self.print(_IPV6 if ipv6 else _IPV4, proplist, *queries)
        ]

    def active_ppp(self) -> list[ActivePpp]:
        """The running PPP sessions. Their ids hold only for this session with the router."""
        rows = self.print("/ppp/active", [".id", "name", "address"])
        return [ActivePpp(row[".id"], row.get("name", ""), row.get("address", "")) for row in rows]

    def ppp_secrets(self) -> list[PppSecret]:
        """All PPP users, without their passwords."""
        rows = self.print("/ppp/secret", [".id", "name", "profile", "remote-address", "comment", "disabled"])
        return [
            PppSecret(
                id=row[".id"],
                name=row.get("name", ""),
                profile=row.get("profile", ""),
                remote_address=row.get("remote-address", ""),
                comment=row.get("comment", ""),
                disabled=flag(row, "disabled"),
            )
            for row in rows
        ]

    def simple_queues(self) -> list[SimpleQueue]:
        """All simple queues in their order, the router's own dynamic ones included."""
        proplist = [".id", "name", "target", "max-limit", "comment", "disabled", "dynamic"]
        return [
            SimpleQueue(
                id=row[".id"],
                name=row.get("name", ""),
                target=row.get("target", ""),
                max_limit=row.get("max-limit", ""),
                comment=row.get("comment", ""),
                disabled=flag(row, "disabled"),
                dynamic=flag(row, "dynamic"),
            )
            for row in self.print("/queue/simple", proplist)
        ]

    # Changing ----------------------------------------------------------------------------------------

    def run(self, commands: Sequence[Command], *, window: int = WINDOW) -> list[Outcome]:
        """Send changes and return how each ended, in the order given.

        Pipelined, so the router may work on several at once: changes that depend on each other's order go
        in separate calls. Refusals are outcomes, not exceptions. Where the connection breaks or an answer
        stays out, every command without one is `unknown` and `error` says why. Raises GatewayError only
        where the connection was closed before the first command.
        """
        return self._run([command.words() for command in commands], window)

    def _run(self, commands: Sequence[Words], window: int = WINDOW) -> list[Outcome]:
        return [_outcome(reply) for reply in self._exchange_all(commands, window)]

    def add_entries(self, entries: Sequence[NewEntry], *, ipv6: bool = False) -> list[Outcome]:
        """Put entries on address lists without looking first: `exists` is as good as `ok`, but for its comment."""
        path = f"{_IPV6 if ipv6 else _IPV4}/add"
        return self._run([_entry_words(path, entry) for entry in entries])

    def remove_entries(self, ids: Sequence[str], *, ipv6: bool = False) -> list[Outcome]:
        """Take entries off their lists; one outcome for each id, `gone` where it was not there any more."""
        return self.remove(_IPV6 if ipv6 else _IPV4, ids)

    def drop_active_ppp(self, ids: Sequence[str]) -> list[Outcome]:
        """End running PPP sessions. An enabled client dials in again within seconds."""
        return self.remove("/ppp/active", ids)

    def remove(self, path: str, ids: Sequence[str]) -> list[Outcome]:
        """Remove rows of a menu in batches; one outcome for each id, `gone` where it was not there any more."""
        return self._in_batches(f"{path}/remove", ids, {})

    def set(self, path: str, ids: Sequence[str], values: Mapping[str, str], *, raw: bool = False) -> list[Outcome]:
        """Give the same properties to rows of a menu, in batches; one outcome for each id. ``raw``: see Command."""
        return self._in_batches(f"{path}/set", ids, values, raw=raw)

    def add(self, path: str, rows: Sequence[Mapping[str, str]], *, raw: bool = False) -> list[Outcome]:
        """Add rows to a menu (`/ppp/secret`), each with its own properties, without looking first; one outcome for
        each: `ret` is the new id, `exists` where the router has one like it. ``raw``: see Command."""
        return self.run([Command(f"{path}/add", row, raw=raw) for row in rows])

    def change(self, path: str, rows: Sequence[tuple[str, Mapping[str, str]]], *, raw: bool = False) -> list[Outcome]:
        """Give rows of a menu, by id, each its own properties; one outcome for each. ``raw``: see Command."""
        return self.run([Command(f"{path}/set", {".id": row_id, **values}, raw=raw) for row_id, values in rows])

    def make_static(self, ids: Sequence[str]) -> list[Outcome]:
        """Make dynamic DHCP leases static; one outcome for each id. Look their ids up again before changing them."""
        return self.run([Command(f"{menus.LEASE}/make-static", {".id": row_id}) for row_id in ids])

    def _in_batches(
        self, path: str, ids: Sequence[str], values: Mapping[str, str], *, raw: bool = False
    ) -> list[Outcome]:
        """A batch stops at the first id that is not there, and nobody documents what became of those before
        it; so the ids of a batch that failed are sent once more, each alone."""
        if any(not item or "," in item for item in ids):
            raise ValueError("an id that is empty or holds a comma")
        distinct = list(dict.fromkeys(ids))
        batches = [distinct[at : at + BATCH] for at in range(0, len(distinct), BATCH)]
        commands = [Command(path, {".id": ",".join(batch), **values}, raw=raw) for batch in batches]
        outcomes: dict[str, Outcome] = {}
        again: list[str] = []
        for batch, outcome in zip(batches, self.run(commands, window=BATCH_WINDOW), strict=True):
            settled = outcome.status in (Status.ok, Status.unknown) or outcome.code is ErrorCode.permission
            if settled or len(batch) == 1:
                outcomes.update(dict.fromkeys(batch, outcome))
            else:
                again += batch
        if self.error is not None:
            outcomes.update(dict.fromkeys(again, Outcome(Status.unknown)))
        elif again:
            single = self.run([Command(path, {".id": item, **values}, raw=raw) for item in again])
            outcomes.update(zip(again, single, strict=True))
        return [outcomes[item] for item in ids]

    # Talking -----------------------------------------------------------------------------------------

    def _single(self, path: str, proplist: Sequence[str]) -> Row:
        rows = self.print(path, proplist)
        return rows[0] if rows else {}

    def _answer(self, words: Words) -> Reply:
        """The answer to one command; raises GatewayError where it is an error or does not come."""
        reply = self._exchange_all([words], 1)[0]
        if reply is None:
            raise self.error or GatewayError(ErrorCode.closed)
        if reply.traps:
            raise GatewayError(trap_code(reply.traps[0]), ", ".join(reply.traps))
        return reply

    def _exchange_all(self, commands: Sequence[Words], window: int) -> list[Reply | None]:
        if self._closed:
            raise self.error or GatewayError(ErrorCode.closed, "the connection is closed")
        replies: list[Reply | None] = [None] * len(commands)
        try:
            self._exchange.ask(commands, replies, window)
        except BROKEN as error:
            self.error = translate(error, heard=self._transport.heard)
        except GatewayError as error:
            self.error = error
        except BaseException:
            self.close()
            raise
        if self.error is not None:
            self.close()
        return replies

    # Logging in --------------------------------------------------------------------------------------

    def log_in(self, username: str, password: str) -> None:
        """Log in. Routers older than 6.43 answer a plain log-in with a challenge instead of refusing it."""
        challenge = self._log_in({"name": username, "password": password}).ret
        if challenge:
            # RouterOS before 6.43 knows nothing better than MD5.
            digest = hashlib.md5(b"\0" + password.encode() + bytes.fromhex(challenge), usedforsecurity=False)
            self._log_in({"name": username, "response": f"00{digest.hexdigest()}"})

    def _log_in(self, attributes: Mapping[str, str]) -> Reply:
        try:
            return self._answer(Command("/login", attributes).words())
        except GatewayError as error:
            if error.code in (ErrorCode.trap, ErrorCode.permission):
                raise GatewayError(ErrorCode.login, error.detail) from None
            raise


def _for_people(reply: Reply) -> list[Row]:
    if reply.readable:
        return reply.rows
    return [{name: from_wire(value) for name, value in row.items()} for row in reply.rows]


def _entry_words(path: str, entry: NewEntry) -> Words:
    words = (path, f"=list={entry.list}", f"=address={entry.address}")
    return (*words, f"=comment={entry.comment}") if entry.comment else words


def _outcome(reply: Reply | None) -> Outcome:
    if reply is None:
        return Outcome(Status.unknown)
    if not reply.traps:
        return Outcome(_OK, reply.ret)
    text = ", ".join(reply.traps)
    return Outcome(status_of_trap(text), text=text, code=trap_code(text))


@contextmanager
def connect(target: Target, *, deadline: float) -> Iterator[Connection]:
    """A session with the router, logged in, for at most `deadline` seconds in all; hung up at the end.

    One thread uses it. Raises GatewayError. Every log-in is a line in the router's log: one session a job.
    """
    until = monotonic() + deadline
    connection = Connection(_dial(target, until))
    try:
        connection.log_in(target.username, target.password)
        yield connection
    finally:
        connection.close()


def fetch_fingerprint(target: Target) -> str | None:
    """SHA-256 of the certificate that the router shows now, unverified, for a person to confirm and to pin.

    None where it has no certificate and offers anonymous encryption only. Raises GatewayError.
    """
    until = monotonic() + target.connect_timeout
    try:
        with contextlib.closing(_dial(replace(target, tls=True, anonymous=False), until, secure=handshake)) as line:
            return fingerprint_of(line.sock)
    except GatewayError as error:
        if error.code is not ErrorCode.tls:
            raise
    _dial(replace(target, tls=True, anonymous=True), until).close()
    return None


def _dial(
    target: Target, until: float, *, secure: Callable[[socket.socket, Target], ssl.SSLSocket] = secure
) -> Transport:
    patience = max(0.001, min(target.connect_timeout, until - monotonic()))
    try:
        sock: socket.socket = open_socket(target.host, target.port, patience)
    except ConnectionRefusedError as error:
        raise GatewayError(ErrorCode.refused, str(error)) from error
    except (OSError, UnicodeError) as error:
        raise GatewayError(ErrorCode.unreachable, str(error)) from error
    try:
        if target.tls:
            sock = secure(sock, target)
    except ValueError as error:
        raise GatewayError(ErrorCode.tls, str(error)) from error
    except OSError as error:
        raise translate(error, heard=False) from error
    return Transport(sock, deadline=until, reply_timeout=target.reply_timeout)
