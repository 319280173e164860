"""``python -m tests.mutants [module]``: whether the unit tests notice every changed rule of money and dates.

mutmut changes the rules one by one in a copy (``mutants/``, ignored by git), never in the tree itself, and runs their
unit tests on each change. A change that no test notices fails, unless EQUIVALENT says why it changes no amount and no
date; so does an entry there that no longer stands for one.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("wisp.invoices.domain", "wisp.schedules.domain")
NOTICED = ("killed", "timeout", "caught by type check")

EQUIVALENT = {
    "wisp.invoices.domain": {
        "return using.case((start > cycle.period_to, 0), (start >= cycle.period_from, part), otherwise=price)": (
            "the part of all days is the whole price"
        ),
        "tax = (price * (2 * rate_bp) + 10001) // 20000": "2 · price · rate is even: one more never reaches 20000",
    },
    "wisp.schedules.domain": {},
}
"""Changed lines that come to the same, and why."""


def mutmut(*arguments: str) -> str:
    """What mutmut prints; ends the program where it fails."""
    command = [sys.executable, "-m", "mutmut", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"mutmut {' '.join(arguments)} failed:\n{(ended.stdout + ended.stderr)[-3000:]}")
    return ended.stdout


def survivors(module: str) -> dict[str, str]:
    """The changes of a module that no test noticed: name and the changed line."""
    found = re.findall(rf"^\s*({re.escape(module)}\.\S+): (.+)$", mutmut("results"), re.MULTILINE)
    return {name: _changed_line(name) for name, fate in found if fate not in NOTICED}


def _changed_line(name: str) -> str:
    added = re.findall(r"^\+(?!\+\+)\s*(.*)$", mutmut("show", name), re.MULTILINE)
    return " ".join(added)


def main(modules: list[str]) -> int:
    """Change the rules of these modules (default: all); 1 where something is wrong with the tests or the list."""
    chosen = modules or list(MODULES)
    shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    mutmut("run", *[f"{module}.*" for module in chosen])
    wrong = 0
    for module in chosen:
        unnoticed, known = survivors(module), EQUIVALENT[module]
        for name, line in unnoticed.items():
            if line not in known:
                print(f"no test notices {name}:\n    {line}")
                wrong += 1
        for line in known.keys() - set(unnoticed.values()):
            print(f"{module}: listed as equivalent, but it is none (any more):\n    {line}")
            wrong += 1
        print(f"{module}: {len(unnoticed)} changes unnoticed, {len(known)} known to come to the same")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
