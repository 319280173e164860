"""The way to the mail server: settings, one connection for many messages, and what each answer means.

Flask-Mail builds and sends the messages; this is its only import. Its connection is extended where it knows too
little: time-outs, checked certificates, and whether a lost connection left the fate of a message open.
"""

import hashlib
import hmac
import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from email import charset, policy
from email.mime.base import MIMEBase
from email.utils import parseaddr
from enum import StrEnum
from functools import cache
from secrets import token_hex
from typing import Any, NamedTuple
from unicodedata import normalize
from urllib.parse import urlsplit

import flask_mail
from flask import Flask, current_app

from wisp.core import clock, crypto
from wisp.outbox.domain import About, about, one_line, plausible_address, recipients
from wisp.outbox.kinds import Rendered
from wisp.outbox.models import Message
from wisp.settings.domain import own_machine
from wisp.settings.service import company

CONNECT_SECONDS = 15.0
REPLY_SECONDS = 60.0
HEADERS = {"Auto-Submitted": "auto-generated"}

_TEXT = charset.Charset("utf-8")
_TEXT.body_encoding = charset.QP
_TEXT.header_encoding = charset.QP


class Trouble(StrEnum):
    """Why nothing can be sent at present: a matter of the mail server or of its settings, not of one message."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TLS = "tls"
    LOGIN = "login"
    SENDER = "sender"
    BUSY = "busy"
    DROPPED = "dropped"
    REFUSING = "refusing"
    LIMIT = "limit"
    SECRET = "secret"  # noqa: S105 - a code
    IN_CLEAR = "in_clear"


class MailTrouble(Exception):
    """The mail server cannot be used at present. ``detail`` is its own text."""

    def __init__(self, code: Trouble, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class Fate(StrEnum):
    """What became of one message."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    LATER = "later"
    UNKNOWN = "unknown"


class Answer(NamedTuple):
    """The mail server's answer to one message. ``detail`` of an accepted one: which of its recipients were refused."""

    fate: Fate
    detail: str = ""


@dataclass(frozen=True)
class MailSettings:
    """Where and how to send. ``security``: ``none``, ``starttls`` or ``tls``."""

    server: str
    port: int
    security: str
    username: str
    password: str = field(repr=False)
    sender: str
    sender_name: str


def mail_settings() -> MailSettings | None:
    """The settings in force: those of the company's page, else those of the environment; None where neither names a
    server. Raises MailTrouble where the stored password cannot be read, or where others could read it on the way."""
    firm, wisp = company(), current_app.config["WISP"]
    if firm.mail_server:
        try:
            password = crypto.decrypt(firm.mail_password)
        except crypto.SecretUnreadable:
            raise MailTrouble(Trouble.SECRET) from None
        server, port, security, username = firm.mail_server, firm.mail_port, firm.mail_security, firm.mail_username
    elif wisp.mail_server:
        server, port, username, password = wisp.mail_server, wisp.mail_port, wisp.mail_username, wisp.mail_password
        security = "tls" if port == 465 else "starttls" if wisp.mail_use_tls else "none"
    else:
        return None
    if username and security == "none" and not own_machine(server):
        raise MailTrouble(Trouble.IN_CLEAR)
    name, address = _sender(firm.mail_sender, wisp.mail_default_sender, firm.email, f"wisp@{own_host()}")
    return MailSettings(server, port, security, username, password, address, one_line(firm.name or name, 120))


def configured() -> bool:
    """True where a mail server is named, on the company's page or in the environment."""
    return bool(company().mail_server or current_app.config["WISP"].mail_server)


def _sender(*candidates: str) -> tuple[str, str]:
    for candidate in candidates:
        name, address = parseaddr(candidate)
        if plausible_address(address):
            return name, address
    return "", candidates[-1]


def own_host() -> str:
    """The name under which this program greets and signs: that of its public address."""
    host = urlsplit(current_app.config["WISP"].url).hostname or "localhost"
    return f"[{host}]" if host.replace(".", "").isdigit() else f"[IPv6:{host}]" if ":" in host else host


def message_id(message: Message) -> str:
    """The Message-ID of a row: the same at each attempt, another in each installation and for each row that ever had
    this id (a restored database counts on from where it was)."""
    key = current_app.config["WISP"].wisp_key.encode()
    mark = hmac.new(key, f"{message.id} {message.created_at.isoformat()}".encode(), hashlib.sha256).hexdigest()[:20]
    return f"<wisp.{message.id}.{mark}@{own_host()}>"


class _Headers(policy.Compat32):
    """Writes headers out as they are: they are encoded by now. Longer ones are folded by the usual rules."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        """One header as bytes."""
        if isinstance(value, str) and len(name) + len(value) < 76 and value.isascii() and value.isprintable():
            return f"{name}: {value}\r\n".encode()
        return super().fold_binary(name, value)


_PLAIN = _Headers(linesep="\r\n")


@cache
def _blank() -> flask_mail.Message:
    """A message without anything; made once, since making one asks the name server for this machine's name."""
    return flask_mail.Message(sender="x", charset=_TEXT)  # type: ignore[arg-type]  # a Charset does what a name does


class Letter(flask_mail.Message):
    """A message whose bytes are made once, when it is built, so that what cannot be built is known before sending."""

    def __init__(self, settings: MailSettings, recipient: str, mail_id: str, content: Rendered) -> None:
        """``recipient``: one address, or several as ``recipients`` reads them; one message goes to all."""
        self.__dict__.update(_blank().__dict__)
        self.subject = one_line(content.subject)
        self.recipients = [address for address in recipients(recipient) if plausible_address(address)]
        self.body = content.text
        self.alts = {"html": content.html} if content.html else {}
        self.sender = (settings.sender_name, settings.sender)  # a pair, since a name may hold a comma
        self.date = clock.now().timestamp()
        self.extra_headers = HEADERS
        self.attachments = [flask_mail.Attachment(a.filename, a.content_type, a.data) for a in content.attachments]
        self.msgId = mail_id
        if self.has_bad_headers():
            raise ValueError("a line break in a header")
        self._bytes: bytes = super().as_bytes()

    def _message(self) -> MIMEBase:
        """The tree of parts, written out by the older rules: the newer ones would parse each header again, which takes
        as long as everything else together. The boundaries cannot occur in quoted-printable or base64 parts."""
        built: MIMEBase = super()._message()
        built.policy = _PLAIN
        for level, part in enumerate(p for p in built.walk() if p.is_multipart()):
            part.set_param("boundary", f"=_wisp_{level}_{token_hex(8)}")
        return built

    def as_bytes(self) -> bytes:
        """The message as it goes to the server."""
        return self._bytes


class _Watched(smtplib.SMTP):
    """Knows whether a message was on its way when the connection broke: ``in_doubt`` from the server's go-ahead for
    the text (354) to its final answer."""

    in_doubt = False
    refused: dict[str, tuple[int, bytes]]
    """The recipients of the last message that were refused although others were taken."""

    def sendmail(self, *message: Any, **options: Any) -> dict[str, tuple[int, bytes]]:
        """Send one message."""
        self.refused = {}
        self.refused = super().sendmail(*message, **options)
        return self.refused

    def auth(self, mechanism: str, authobject: Any, **options: Any) -> tuple[int, bytes]:
        """Log in; what is said may hold any letter (RFC 4616: UTF-8), where smtplib knows ASCII only."""
        said: Any = lambda challenge=None: _utf8(authobject(challenge))  # noqa: E731
        return super().auth(mechanism, said, **options)

    def getreply(self) -> tuple[int, bytes]:
        """Read one answer."""
        code, text = super().getreply()
        if code == 354:
            self.in_doubt = True
        return code, text

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Send the text of one message."""
        answer = super().data(msg)
        self.in_doubt = False
        return answer


class _WatchedTLS(_Watched, smtplib.SMTP_SSL):
    """The same, under TLS from the first byte."""


class Line(flask_mail.Connection):
    """One connection for many messages; ``with Line(settings) as line`` opens it, or raises MailTrouble."""

    host: _Watched | None

    def __init__(self, settings: MailSettings) -> None:
        super().__init__(_state(settings))
        self.settings = settings
        self.accepted = 0

    def configure_host(self) -> _Watched:
        """Connect, secure, log in. Raises MailTrouble."""
        try:
            return self._connect()
        except smtplib.SMTPAuthenticationError as error:
            raise MailTrouble(Trouble.LOGIN, _text(error)) from None
        except smtplib.SMTPNotSupportedError as error:
            code = Trouble.TLS if "STARTTLS" in str(error) else Trouble.LOGIN
            raise MailTrouble(code, str(error)) from None
        except smtplib.SMTPResponseException as error:
            raise MailTrouble(Trouble.BUSY, _text(error)) from None
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            raise _trouble(error, Trouble.UNREACHABLE) from None

    def _connect(self) -> _Watched:
        settings = self.settings
        tls = ssl.create_default_context()
        place: dict[str, Any] = {"local_hostname": own_host(), "timeout": CONNECT_SECONDS}
        host: _Watched
        if settings.security == "tls":
            host = _WatchedTLS(settings.server, settings.port, context=tls, **place)
        else:
            host = _Watched(settings.server, settings.port, **place)
        try:
            assert host.sock is not None  # noqa: S101 - connected above
            host.sock.settimeout(REPLY_SECONDS)
            if settings.security == "starttls":
                host.starttls(context=tls)
            if settings.username:
                _log_in(host, settings)
            host.ehlo_or_helo_if_needed()
        except BaseException:
            host.close()
            raise
        return host

    def __exit__(self, *_: object) -> None:
        """Take leave; a server that is gone already is no error."""
        if self.host is not None:
            try:
                self.host.quit()
            except (smtplib.SMTPException, OSError):
                self.host.close()

    def hand_over(self, letter: Letter) -> Answer:
        """Send one message and say what became of it. Raises MailTrouble where the server took nothing and the fault
        is not the message's: the connection is of no use afterwards. After UNKNOWN too."""
        assert self.host is not None  # noqa: S101 - open
        try:
            self.send(letter, envelope_from=self.settings.sender)
        except smtplib.SMTPRecipientsRefused as error:
            return self._judge(*min(error.recipients.values()))  # "later" (4xx) of one goes before "never" (5xx)
        except smtplib.SMTPSenderRefused as error:
            if error.smtp_code == 552:  # this one is too large
                return Answer(Fate.REFUSED, _text(error))
            raise MailTrouble(Trouble.SENDER if error.smtp_code >= 500 else Trouble.BUSY, _text(error)) from None
        except smtplib.SMTPDataError as error:
            return self._judge(error.smtp_code, error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            if self.host.in_doubt:
                return Answer(Fate.UNKNOWN, str(error))
            raise _trouble(error, Trouble.DROPPED) from None
        self.accepted += 1
        parts = (f"{address}: {_spoken(*answer)}" for address, answer in self.host.refused.items())
        return Answer(Fate.ACCEPTED, "; ".join(parts))

    @staticmethod
    def _judge(code: int, text: bytes | str) -> Answer:
        words = _spoken(code, text)
        if code == 421:
            raise MailTrouble(Trouble.BUSY, words)
        if about(words) is About.SERVICE:
            raise MailTrouble(Trouble.LIMIT, words)
        return Answer(Fate.REFUSED if 500 <= code < 600 else Fate.LATER, words)


class _Utf8(str):
    """A text that becomes UTF-8 also where ASCII is asked for."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """The bytes, in UTF-8."""
        return super().encode("utf-8", errors)


def _utf8(text: str | None) -> _Utf8 | None:
    return None if text is None else _Utf8(text)


def _log_in(host: _Watched, settings: MailSettings) -> None:
    host.login(*(_Utf8(normalize("NFKC", text)) for text in (settings.username, settings.password)))


def _state(settings: MailSettings) -> Any:
    return flask_mail.Mail().init_mail(
        {"MAIL_SERVER": settings.server, "MAIL_PORT": settings.port, "MAIL_SUPPRESS_SEND": False, "MAIL_DEBUG": 0}
    )


def _spoken(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return f"{code} {one_line(words, 500)}"


def _text(error: smtplib.SMTPResponseException) -> str:
    return _spoken(error.smtp_code, error.smtp_error)


def _trouble(error: Exception, otherwise: Trouble) -> MailTrouble:
    if isinstance(error, ssl.SSLError):
        return MailTrouble(Trouble.TLS, str(error))
    late = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
    if isinstance(error, socket.gaierror):
        return MailTrouble(Trouble.UNREACHABLE, error.strerror or str(error))
    return MailTrouble(Trouble.TIMEOUT if late else otherwise, str(error))


def init_app(app: Flask) -> None:
    """Let Flask-Mail know the application; the server's settings are read at each delivery."""
    app.config.setdefault("MAIL_SUPPRESS_SEND", False)
    flask_mail.Mail().init_app(app)
