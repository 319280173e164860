"""Rules of the house that a reader could check, and a machine checks faster."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LONGEST_FILE = 500
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|NotImplemented" + r"Error)\b")
SKIPS = re.compile(r"pytest\.mark\.(skip|skipif|xfail)\b|\bpytest\.(xfail|importorskip)\b")
REQUESTS = re.compile(r"\bhx-(get|post|put|patch|delete)=")
TAG = re.compile(r"<[a-zA-Z][^<>]*>", re.DOTALL)


def files(*patterns: str) -> list[Path]:
    """The files of the program that match, without what was built."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0 and listed.stdout:
        found = [ROOT / line for line in listed.stdout.splitlines()]
    else:  # a source archive
        found = [file for pattern in patterns for file in ROOT.rglob(pattern) if ".venv" not in file.parts]
    return [file for file in found if file.is_file()]


def tags(file: Path) -> list[str]:
    """The tags of a template; comments and expressions are blanked out, so that their signs do not count."""
    text = re.sub(r"\{#.*?#\}", " ", file.read_text(), flags=re.DOTALL)
    text = re.sub(r"\{\{.*?\}\}", "x", text, flags=re.DOTALL)
    text = re.sub(r"\{%.*?%\}", " ", text, flags=re.DOTALL)
    return TAG.findall(text)


@pytest.mark.parametrize("pattern", ["*.py", "*.html", "*.js", "*.css", "*.txt", "Makefile"])
def test_nothing_is_left_unfinished(pattern: str) -> None:
    found = [
        f"{file.relative_to(ROOT)}: {hit[0]}"
        for file in files(pattern)
        for hit in UNFINISHED.finditer(file.read_text())
    ]
    assert not found


def test_no_test_is_marked_to_be_skipped() -> None:
    mine = Path(__file__)
    found = [str(file.relative_to(ROOT)) for file in files("*.py") if file != mine and SKIPS.search(file.read_text())]
    assert not found


def test_files_can_be_read_in_one_go() -> None:
    found = {
        str(file.relative_to(ROOT)): lines
        for file in files("wisp/*.py")
        if (lines := len(file.read_text().splitlines())) > LONGEST_FILE
    }
    assert not found


def test_templates_hold_nothing_that_the_content_policy_blocks() -> None:
    """Inline scripts and styles, and what htmx would have to evaluate."""
    wrong = re.compile(
        r"""\s(style|on[a-z]+|hx-on[:\w-]*)=|javascript:|hx-(vals|headers|confirm)="js:|hx-trigger="[^"]*\["""
    )
    found = [
        f"{file.relative_to(ROOT)}: {tag[:80]}"
        for file in files("templates/*.html")
        if "emails" not in file.parts
        for tag in tags(file)
        if wrong.search(tag) or tag in ("<script>", "<style>")
    ]
    assert not found


def test_a_question_stands_where_its_request_is_made() -> None:
    """htmx 4 inherits nothing by itself: hx-confirm on an element without a request asks nobody, silently."""
    found = [
        f"{file.relative_to(ROOT)}: {tag[:80]}"
        for file in files("templates/*.html")
        for tag in tags(file)
        if re.search(r"\bhx-confirm=", tag) and not REQUESTS.search(tag)
    ]
    assert not found


def test_pages_ask_no_other_machine() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {hit[0]}"
        for file in files("templates/*.html", "static/*.js", "static/*.css")
        for hit in re.finditer(
            r"""(src|href|action)="https?://[^"]*|@import[^;]*|url\(["']?https?:[^)]*""", file.read_text()
        )
    ]
    assert not found
