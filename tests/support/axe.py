"""axe-core in a page of the browser tests: what keeps people with a screen reader, a keyboard or poor eyes out."""

from functools import cache
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SETTLED = """() => Promise.all(document.getAnimations()
    .filter(one => one.effect.getTiming().iterations !== Infinity).map(one => one.finished.catch(() => null)))
    .then(() => null)"""
"""Colours in the middle of a change of scheme are nobody's."""
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}


@cache
def _source() -> str:
    return SOURCE.read_text()


def violations(page: Any) -> list[str]:
    """What axe finds wrong on the page as it is now, by WCAG 2.2 AA: the rule and the first element."""
    page.evaluate(_source())
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)["violations"]
    return [f"{fault['id']} ({len(fault['nodes'])}): {fault['nodes'][0]['html'][:200]}" for fault in found]


def glance(page: Any) -> None:
    """The page reads well as it is now: for another state of a page that was checked."""
    assert not violations(page), page.url


def check(page: Any) -> None:
    """The page reads well on a desktop and a phone, light and dark, and nothing sticks out of the phone."""
    wrong = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for size in (DESKTOP, PHONE):
            page.set_viewport_size(size)
            page.evaluate(SETTLED)
            wrong += [f"{scheme} {size['width']}: {fault}" for fault in violations(page)]
            if page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") > 0:
                wrong.append(f"{scheme} {size['width']}: something sticks out")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESKTOP)
    assert not wrong, f"{page.url}\n" + "\n".join(wrong)
