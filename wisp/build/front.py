"""Lay the front-end files into ``static/vendor``: ``python -m wisp.build.front``, after ``npm ci``.

Only what a page loads is taken from the packages, by an explicit list. Icons become one file of symbols, those that
``static/icons.txt`` names (one name a line).
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ROOT / "node_modules"
VENDOR = ROOT / "static" / "vendor"
ICONS = ROOT / "static" / "icons.txt"
SPRITE = PACKAGES / "@tabler/icons-sprite/dist/tabler-sprite-nostroke.svg"

FILES = {
    "htmx.org/dist/htmx.min.js": ("htmx.min.js", 30_000),
    "@tabler/core/dist/css/tabler.min.css": ("tabler.min.css", 400_000),
    "@tabler/core/dist/js/tabler.min.js": ("tabler.min.js", 80_000),
}
"""Path in the packages -> (name in static/vendor, the least size that can be right)."""

SOURCE_MAP = re.compile(rb"\n?(//# sourceMappingURL=\S+|/\*# sourceMappingURL=\S+ \*/)\s*$")
SYMBOL = re.compile(r'<symbol id="tabler-([a-z0-9-]+)".*?</symbol>', re.DOTALL)


class Missing(Exception):
    """A package does not hold what is expected of it."""


def copy_files() -> None:
    """Copy the listed files, without the pointers to source maps, which are not served."""
    for source, (name, least) in FILES.items():
        content = SOURCE_MAP.sub(b"\n", (PACKAGES / source).read_bytes())
        if len(content) < least:
            raise Missing(f"{source} has {len(content)} bytes; at least {least} were expected")
        (VENDOR / name).write_bytes(content)


def build_icons() -> int:
    """Write the symbols of the named icons into one file; returns how many."""
    names = {line.strip() for line in ICONS.read_text().splitlines() if line.strip()}
    symbols = {match[1]: match[0] for match in SYMBOL.finditer(SPRITE.read_text())}
    unknown = sorted(names - symbols.keys())
    if unknown:
        raise Missing(f"there are no icons called {', '.join(unknown)}; see static/icons.txt")
    text = "\n".join(symbols[name] for name in sorted(names))
    (VENDOR / "icons.svg").write_text(f'<svg xmlns="http://www.w3.org/2000/svg">\n{text}\n</svg>\n')
    return len(names)


def main() -> None:
    """Build all of it."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    try:
        copy_files()
        print(f"static/vendor: {len(FILES)} files, {build_icons()} icons")
    except (Missing, FileNotFoundError) as error:
        sys.exit(f"the front-end files cannot be built: {error}")


if __name__ == "__main__":
    main()
