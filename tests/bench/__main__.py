"""``python -m tests.bench [P1 …]``: run the benches, print a table, write ``bench.json`` in the current folder.

A bench is a module ``tests/bench/p1.py`` … with a function ``run() -> list[Figure]``. It makes its own databases and
servers (``tests.bench.ground`` has them ready), is bounded in time and leaves nothing behind. Exit code: 0 where all is
reached, 1 where something is missed or a bench broke, 2 for a bench that there is not.
"""

import importlib
import json
import os
import platform
import sys
import time
import traceback
from pathlib import Path

from tests.bench.figures import Figure, table

FOLDER = Path(__file__).resolve().parent
MEASURED_IN = {"P6": "P1"}
"""The memory of a run is measured where its time is."""


def known() -> list[str]:
    """The names of the benches that there are, in order."""
    return sorted([file.stem.upper() for file in FOLDER.glob("p[0-9]*.py")] + list(MEASURED_IN))


def main(names: list[str]) -> int:
    """Run the named benches (default: all)."""
    chosen = [name.upper() for name in names] or known()
    unknown = sorted(set(chosen) - set(known()))
    if unknown:
        print(f"no bench {', '.join(unknown)}; there are {', '.join(known())}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    broken = False
    for module in dict.fromkeys(MEASURED_IN.get(name, name) for name in chosen):
        begun = time.monotonic()
        try:
            figures += importlib.import_module(f"tests.bench.{module.lower()}").run()
        except Exception:
            traceback.print_exc()
            broken = True
        print(f"{module}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    figures = sorted((figure for figure in figures if figure.bench in chosen), key=lambda figure: figure.bench)
    print(table(figures))
    document = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "figures": [figure.document() for figure in figures],
    }
    Path("bench.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return 0 if not broken and all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
