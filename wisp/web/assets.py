"""Addresses of static files that change with their content, so that browsers may keep them for a year."""

from functools import lru_cache
from pathlib import Path

from flask import current_app, url_for


def asset(name: str) -> str:
    """The address of ``static/<name>`` with a mark of its present content."""
    return url_for("static", filename=name, v=_mark(Path(current_app.static_folder or "") / name))


def _mark(file: Path) -> str:
    try:
        facts = file.stat()
    except OSError:
        return "0"
    return _hex(facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=256)
def _hex(changed: int, size: int) -> str:
    return f"{(changed // 1_000_000) ^ (size << 20):x}"[-10:]
