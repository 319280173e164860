"""The simulated router's TLS: a certificate made by itself, or none at all (anonymous Diffie-Hellman)."""

import base64
import hashlib
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate with its key, both as PEM."""

    pem: str
    key: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, 64 hex digits."""
        body = "".join(line for line in self.pem.splitlines() if not line.startswith("-"))
        return hashlib.sha256(base64.b64decode(body)).hexdigest()


def make_certificate(host: str = "127.0.0.1") -> Certificate:
    """A new certificate for an IP address, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "router")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return Certificate(pem, private)


def with_certificate(certificate: Certificate) -> ssl.SSLContext:
    """A server's context that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "router.pem"
        file.touch(mode=0o600)
        file.write_text(certificate.pem + certificate.key)
        context.load_cert_chain(file)
    return context


def anonymous() -> ssl.SSLContext:
    """A server's context without any certificate, as a router offers that has none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ADH:@SECLEVEL=0")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dh.pem"
        file.write_text(_group())
        context.load_dh_params(str(file))
    return context


@cache
def _group() -> str:
    """The 2048-bit group of RFC 7919, computed from its definition."""
    prime = 2**2048 - 2**1984 + (_e_times_two_to(1918) + 560316) * 2**64 - 1
    integers = _der(0x02, b"\0" + prime.to_bytes(256, "big")) + _der(0x02, b"\x02")
    body = base64.encodebytes(_der(0x30, integers)).decode()
    return f"-----BEGIN DH PARAMETERS-----\n{body}-----END DH PARAMETERS-----\n"


def _der(tag: int, body: bytes) -> bytes:
    """An element of DER: tag, length, body."""
    size = len(body)
    length = bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + body


def _e_times_two_to(bits: int) -> int:
    """The whole part of e * 2^bits: the sum of 1/n!, with some bits to spare."""
    spare = 64
    term = total = 1 << (bits + spare)
    divisor = 1
    while term:
        term //= divisor
        total += term
        divisor += 1
    return total >> spare
