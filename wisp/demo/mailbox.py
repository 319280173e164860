"""Reading what the demo's mail server has kept."""

import email
import email.policy
import json
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path


@dataclass(frozen=True)
class Kept:
    """One message of the list."""

    number: int
    at: datetime
    to: str
    subject: str


def kept(folder: Path, text: str = "") -> list[Kept]:
    """All messages, newest first; only those with ``text`` in the address or the subject."""
    file = folder / "index"
    if not file.exists():
        return []
    wanted, found = text.casefold(), []
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        to = ", ".join(row["to"])
        if wanted in to.casefold() or wanted in row["subject"].casefold():
            found.append(Kept(row["number"], datetime.fromisoformat(row["at"]), to, row["subject"]))
    return found[::-1]


def read(folder: Path, number: int) -> EmailMessage | None:
    """One message, or None where there is none of that number."""
    file = folder / f"{number:07}.eml"
    if not file.exists():
        return None
    message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    return message if isinstance(message, EmailMessage) else None


def text_of(message: EmailMessage) -> str:
    """The message's plain text."""
    part = message.get_body(("plain",))
    return str(part.get_content()) if part is not None else ""


def html_of(message: EmailMessage) -> str:
    """The message's HTML, empty where it has none."""
    part = message.get_body(("html",))
    return str(part.get_content()) if part is not None else ""


def attachments_of(message: EmailMessage) -> list[tuple[str, int]]:
    """Name and size in bytes of each attachment."""
    return [
        (part.get_filename() or part.get_content_type(), len(part.get_payload(decode=True) or b""))
        for part in message.iter_attachments()
    ]
