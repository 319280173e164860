"""A local mail server that keeps every message in a folder and sends none on: ``python -m wisp.demo.mailsink``.

One file a message (``0000001.eml``) and one line of JSON a message in ``index``. Prints its port as JSON when it
listens, and ends with SIGINT or SIGTERM.
"""

import argparse
import asyncio
import email.policy
import json
import signal
import sys
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

HEADERS = BytesHeaderParser(policy=email.policy.default)


class Keeper:
    """Takes messages into ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.count = len(list(folder.glob("*.eml")))
        self.index = (folder / "index").open("a", encoding="utf-8")

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Keep one message."""
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        self.count += 1
        (self.folder / f"{self.count:07}.eml").write_bytes(content)
        head = HEADERS.parsebytes(content.partition(b"\r\n\r\n")[0])
        line = {
            "number": self.count,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "to": envelope.rcpt_tos,
            "subject": str(head["subject"] or ""),
        }
        self.index.write(json.dumps(line, ensure_ascii=False) + "\n")
        self.index.flush()
        return "250 2.0.0 kept"


async def serve(folder: Path, port: int) -> None:
    """Listen on 127.0.0.1 until told to stop."""
    loop = asyncio.get_running_loop()
    keeper, stop = Keeper(folder), asyncio.Event()
    for which in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(which, stop.set)
    server = await loop.create_server(
        lambda: SMTP(keeper, enable_SMTPUTF8=True, hostname="demo.local", loop=loop), "127.0.0.1", port
    )
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await stop.wait()
    server.close()


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m wisp.demo.mailsink", description="A mail server that keeps all.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    options = parser.parse_args(arguments)
    asyncio.run(serve(options.folder, options.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
