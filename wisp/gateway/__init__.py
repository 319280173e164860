"""The router's language. Knows no tables and no web: values in, values out, errors as codes."""

from wisp.gateway import menus
from wisp.gateway.connection import BATCH, WINDOW, Connection, connect, fetch_fingerprint
from wisp.gateway.errors import ErrorCode, GatewayError
from wisp.gateway.listening import Reader, Sentence, listening
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
    canonical_address,
)
from wisp.gateway.target import Target
from wisp.gateway.wire import from_wire as text_of
from wisp.gateway.wire import to_wire as bytes_of

__all__ = [
    "BATCH",
    "WINDOW",
    "ActivePpp",
    "Command",
    "Connection",
    "Entry",
    "ErrorCode",
    "GatewayError",
    "NewEntry",
    "Outcome",
    "PppSecret",
    "Reader",
    "Resource",
    "Row",
    "Sentence",
    "SimpleQueue",
    "Status",
    "Target",
    "bytes_of",
    "canonical_address",
    "connect",
    "fetch_fingerprint",
    "listening",
    "menus",
    "text_of",
]
