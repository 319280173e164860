"""Files between upload and confirmation: kept in the database, encrypted, so that any web process can go on."""

import base64
import secrets
import zlib
from datetime import timedelta

import sqlalchemy as sa

from wisp.clients.csvcheck import Review
from wisp.clients.models import ClientImport
from wisp.core import audit, clock, crypto
from wisp.core.db import session
from wisp.core.errors import Refused

KEPT = timedelta(days=1)
_MARK = "pressed:"
"""Before the content, so that an empty file is not taken for one that was emptied, and that one which was kept before
files were pressed is known."""


def keep(data: bytes, filename: str) -> str:
    """Store an uploaded file and return its one-time token. Files that nobody confirmed in a day are emptied."""
    old = sa.update(ClientImport).where(ClientImport.created_at < clock.now() - KEPT, ClientImport.content != "")
    session().execute(old.values(content=""))
    upload = ClientImport(
        token=secrets.token_urlsafe(32),
        filename=filename[-120:],
        content=crypto.encrypt(_MARK + base64.b85encode(zlib.compress(data, 1)).decode()),
        actor=audit.actor().name,
        created_at=clock.now(),
    )
    session().add(upload)
    session().flush()
    return upload.token


def find(token: str, *, lock: bool = False) -> tuple[ClientImport, bytes]:
    """The upload of that token with its content, for the same person only; ``lock`` for the confirmation.

    Refused("clients.upload_gone") where it was never there, is too old or somebody else's, and
    "clients.upload_done" where it was confirmed before.
    """
    query = sa.select(ClientImport).where(ClientImport.token == token)
    upload = session().scalar(query.with_for_update() if lock else query)
    if upload is None or upload.actor != audit.actor().name:
        raise Refused("clients.upload_gone")
    if upload.done_at is not None:
        raise Refused("clients.upload_done", added=upload.added, changed=upload.changed)
    content = crypto.decrypt(upload.content) if upload.content else ""
    if not content.startswith(_MARK):
        raise Refused("clients.upload_gone")
    return upload, zlib.decompress(base64.b85decode(content.removeprefix(_MARK)))


def finish(upload: ClientImport, review: Review) -> None:
    """Note that the file was imported and forget its content; its token is used up."""
    upload.done_at, upload.content = clock.now(), ""
    upload.added, upload.changed, upload.unchanged = len(review.added), len(review.changed), review.unchanged
    after = {"file": upload.filename, "added": upload.added, "changed": upload.changed, "unchanged": upload.unchanged}
    audit.record("client.import", f"import:{upload.id}", None, after)
