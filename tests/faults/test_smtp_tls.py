"""A mail server with a certificate, and one that wants a user name: secure or not at all."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask import Flask

from tests import factories
from tests.support.outbox import queued, row, states
from wisp.core.crypto import encrypt
from wisp.outbox import delivery, server, trial

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "mail.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


class Mailbox:
    """Takes everything; remembers who was told to it, and whether under TLS."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bool]] = []

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken += [(to, session.ssl is not None) for to in envelope.rcpt_tos]
        return "250 OK"


def check(_server: object, _session: object, _envelope: object, _method: str, data: object) -> AuthResult:
    """Only this one may send."""
    known = ((b"red", b"secreta"), ("señal".encode(), "contraseña€".encode()))
    good = isinstance(data, LoginPassword) and (data.login, data.password) in known
    return AuthResult(success=good, handled=good)


@contextmanager
def serving(mailbox: Mailbox, direct: ssl.SSLContext | None = None, **options: Any) -> Iterator[int]:
    """A mail server in a thread; yields its port. ``direct``: TLS from the first byte."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = loop.create_server(
        lambda: SMTP(mailbox, loop=loop, hostname="mail.test", **options), "127.0.0.1", 0, ssl=direct
    )
    server = asyncio.run_coroutine_threadsafe(made, loop).result(10)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def starttls(tls: ssl.SSLContext) -> Iterator[tuple[int, Mailbox]]:
    mailbox = Mailbox()
    with serving(mailbox, tls_context=tls, require_starttls=True, auth_required=True, authenticator=check) as port:
        yield port, mailbox


def test_starttls_with_a_trusted_certificate_and_the_right_password(
    ctx: Flask, certificate: Path, starttls: tuple[int, Mailbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    port, mailbox = starttls
    factories.make_company(
        mail_server="127.0.0.1", mail_port=port, mail_security="starttls",
        mail_username="red", mail_password=encrypt("secreta"),
    )  # fmt: skip
    queued(2)
    report = delivery.deliver()
    assert (report.state, report.sent) == ("done", 2)
    assert mailbox.taken == [("a0@example.com", True), ("a1@example.com", True)]


@pytest.mark.parametrize("exclude", [[], ["PLAIN"]], ids=["plain", "login"])
def test_user_and_password_may_hold_any_letter(ctx: Flask, exclude: list[str]) -> None:
    mailbox = Mailbox()
    options = {"auth_require_tls": False, "auth_required": True, "auth_exclude_mechanism": exclude}
    with serving(mailbox, authenticator=check, **options) as port:
        factories.make_company(
            mail_server="127.0.0.1", mail_port=port, mail_security="none",
            mail_username="sen\u0303al", mail_password=encrypt("contraseña€"),
        )  # fmt: skip
        queued(1)
        assert delivery.deliver().sent == 1


def test_tls_from_the_first_byte(
    ctx: Flask, certificate: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    mailbox = Mailbox()
    with serving(mailbox, direct=tls) as port:
        factories.make_company(mail_server="127.0.0.1", mail_port=port, mail_security="tls")
        queued(2)
        report = delivery.deliver()
    assert (report.state, report.sent) == ("done", 2)
    assert [to for to, _ in mailbox.taken] == ["a0@example.com", "a1@example.com"]


def test_an_unknown_certificate_is_refused_and_nothing_is_said_in_clear(
    ctx: Flask, starttls: tuple[int, Mailbox]
) -> None:
    port, mailbox = starttls
    factories.make_company(mail_server="127.0.0.1", mail_port=port, mail_security="starttls")
    queued(1)
    report = delivery.deliver()
    assert (report.state, report.code) == ("trouble", "tls")
    assert mailbox.taken == []
    assert row(1).attempts == 0


def test_a_server_without_the_secure_way_gets_nothing(ctx: Flask) -> None:
    mailbox = Mailbox()
    with serving(mailbox) as port:
        factories.make_company(mail_server="127.0.0.1", mail_port=port, mail_security="starttls")
        queued(1)
        report = delivery.deliver()
    assert (report.state, report.code) == ("trouble", "tls")
    assert mailbox.taken == []


@pytest.mark.parametrize("password", ["not-this-one", "contraseña"])
def test_a_wrong_password_touches_no_message_and_is_never_shown(
    ctx: Flask, certificate: Path, starttls: tuple[int, Mailbox], monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    factories.make_company(
        mail_server="127.0.0.1", mail_port=starttls[0], mail_security="starttls",
        mail_username="red", mail_password=encrypt(password),
    )  # fmt: skip
    queued(3)
    report = delivery.deliver()
    assert (report.state, report.code) == ("trouble", "login")
    assert states() == {"pending": 3}
    assert password not in report.detail + server.state().detail
    result = trial.send_test("a@example.com")
    assert (result.ok, result.code) == (False, "login")


def test_a_password_of_another_key_is_said_so(ctx: Flask) -> None:
    factories.make_company(mail_server="127.0.0.1", mail_port=9, mail_username="red", mail_password="not-a-token")
    queued(1)
    assert delivery.deliver().code == "secret"
    assert trial.send_test("a@example.com").code == "secret"
    assert states() == {"pending": 1}
