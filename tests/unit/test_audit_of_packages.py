"""What continuous integration does with the answer of pip-audit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent.parent / ".ci" / "audit"
SOUND = {"name": "sound", "version": "1", "vulns": []}
WEAK = {"name": "weak", "version": "2", "vulns": [{"id": "CVE-1"}]}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("answer", "errors", "code", "words"),
    [
        ([SOUND, UNKNOWN], "", 0, "1 of 2"),
        ([SOUND, WEAK], "", 1, "weak 2: CVE-1"),
        ([UNKNOWN], "", 0, "cannot be reached"),
        (None, "ERROR: Could not connect to the feed", 0, "cannot be reached"),
        (None, "ERROR: the file is no lock", 1, "no lock"),
    ],
)
def test_it_fails_on_a_weakness_and_says_where_nothing_was_looked_up(
    tmp_path: Path, answer: object, errors: str, code: int, words: str
) -> None:
    double = tmp_path / "pip_audit.py"
    said = json.dumps({"dependencies": answer}) if answer is not None else ""
    double.write_text(f"import sys\nprint({said!r})\nprint({errors!r}, file=sys.stderr)\n")
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert words in done.stdout + done.stderr
