"""``python -m tests.bench [P1 …]``: run the benches, print a table, write ``bench.json``.

A bench is a module ``tests/bench/p1.py`` … with a function ``run() -> list[Figure]``. It makes its own databases and
servers (``tests.bench.ground`` has them ready) and leaves nothing behind.
"""

import importlib
import json
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.bench.figures import Figure, table

FOLDER = Path(__file__).resolve().parent
RESULT = FOLDER.parent.parent / "bench.json"


def known() -> list[str]:
    """The benches that there are, in order."""
    return sorted(file.stem.upper() for file in FOLDER.glob("p[0-9]*.py"))


def main(names: list[str]) -> int:
    """Run the named benches (default: all); 1 where a figure misses what it must reach."""
    chosen = [name.upper() for name in names] or known()
    unknown = sorted(set(chosen) - set(known()))
    if unknown:
        print(f"no bench {', '.join(unknown)}; there are {', '.join(known())}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name in chosen:
        begun = time.monotonic()
        figures += importlib.import_module(f"tests.bench.{name.lower()}").run()
        print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    print(table(figures))
    RESULT.write_text(
        json.dumps(
            {
                "machine": f"{platform.machine()}, Python {platform.python_version()}",
                "figures": [{**asdict(figure), "reached": figure.reached} for figure in figures],
            },
            indent=2,
        )
        + "\n"
    )
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
