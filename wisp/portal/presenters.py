"""The page that a client sees: one document with everything in it, made without session, log-in or scripts."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from babel import dates
from flask import Response, current_app
from flask_babel import force_locale
from flask_babel import gettext as _
from markupsafe import Markup, escape

from wisp.access.service import FOR_DEBT
from wisp.core import clock, money
from wisp.core.locales import formatting_locale
from wisp.portal import domain, links
from wisp.portal.service import Visitor
from wisp.settings import service as settings
from wisp.settings.domain import PAGE_VARIABLES
from wisp.settings.models import Company

CONFIRM = "/aviso/entendido/"
LARGEST = 30_000
"""Bytes of the whole document, which comes over poor lines: where the texts leave no room for the logo, it goes."""
_LOGO = "img-src data:; "
_LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]")


@lru_cache(1)
def _style() -> tuple[Markup, str]:
    """The page's style element, and the policy that lets nothing but it in."""
    css = current_app.jinja_env.get_template("portal/page.css").render()
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; {_LOGO}form-action 'self'; base-uri 'none'; "
    policy += "frame-ancestors 'none'"
    return Markup("<style>{}</style>").format(Markup(css)), policy  # noqa: S704 - our own file


@dataclass(frozen=True)
class Said:
    """What the page says, in the present language."""

    title: str
    lead: str
    facts: list[tuple[str, str]]
    after: str = ""


def document(visitor: Visitor | None, language: str, firm: Company, *, link: str = "", status: int = 200) -> Response:
    """The page of a visitor, or of nobody whom we know. ``link``: the token that it was opened by, for its form."""
    secret = current_app.config["WISP"].secret_key
    token = links.sign(secret, links.CONFIRM, visitor.client_id) if visitor and visitor.may_confirm else ""
    return render(visitor, language, firm, status=status, token=token, link=link)


def render(
    visitor: Visitor | None, language: str, firm: Company, *, status: int = 200, token: str = "", link: str = ""
) -> Response:
    """The document; ``token`` puts the button "Entendido" on it."""
    style, policy = _style()
    template, logo = current_app.jinja_env.get_template("portal/page.html"), settings.logo_text()
    with force_locale(language):
        facts: dict[str, Any] = {
            "style": style, "language": language, "firm": firm, "said": _said(visitor, language, firm), "link": link,
            "token": token, "name": visitor.name if visitor and visitor.personal else "", "action": CONFIRM,
            "kind": visitor.state if visitor else "none",
            "pay": [] if visitor and not visitor.debt else _paragraphs(firm.how_to_pay),
        }  # fmt: skip
        html = template.render(logo=logo, **facts).encode()
        if logo and len(html) >= LARGEST:
            html, logo = template.render(logo=None, **facts).encode(), None
    answer = Response(html, status, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = policy if logo else policy.replace(_LOGO, "")
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer


def _said(visitor: Visitor | None, language: str, firm: Company) -> Said:
    if visitor is None:
        return Said(
            _("Notices about your service"),
            _("This page shows payment notices to the clients of %(company)s.", company=firm.name or "WISP"),
            [],
            _("There is none for this connection, or we cannot tell whose it is. If you were sent here although you "
              "wanted to see another page, please call us."),
        )  # fmt: skip
    values = _values(visitor, language, firm)
    facts = []
    if visitor.personal and visitor.debt > 0:
        facts.append((_("Amount due"), values["amount"]))
        if visitor.due:
            facts.append((_("Due date"), values["due"]))
    own = _own_text(visitor, language, firm, values)
    if visitor.state == "cut":
        lead = own or (_cut_by_debt() if visitor.reason in FOR_DEBT else _("Your service is paused. Please call us."))
        return Said(_("Your service is suspended"), lead, facts)
    if visitor.state == "notice":
        lead = own or _("You have a payment to make. Please pay in time, so that your service goes on.")
        after = "" if visitor.may_confirm else _("You have confirmed this notice. It goes away within a minute.")
        return Said(_("Payment notice"), lead, facts, after)
    after = ""
    if visitor.back_at and visitor.debt > 0:
        moment = _moment(visitor.back_at, language, firm)
        after = _("Thank you. We will remind you on %(moment)s, unless you have paid by then.", moment=moment)
    if not visitor.personal:
        return Said(_("Notices about your service"), _("There is no notice for this connection."), [], after)
    lead = _("This is what is open on your account.") if visitor.debt > 0 else _("Nothing is due. Thank you.")
    return Said(_("Your account"), lead, facts, after)


def _cut_by_debt() -> str:
    return str(_("Your service was suspended because a payment is overdue. It comes back as soon as you have paid."))


def _own_text(visitor: Visitor, language: str, firm: Company, values: Mapping[str, str]) -> str:
    """The company's own text for this page, where it fits: it may speak of money and name the client."""
    if not visitor.personal or (visitor.state == "cut" and visitor.reason not in FOR_DEBT):
        return ""
    texts = {
        ("notice", "es"): firm.notice_text_es, ("notice", "en"): firm.notice_text_en,
        ("cut", "es"): firm.cut_text_es, ("cut", "en"): firm.cut_text_en,
    }  # fmt: skip
    return domain.fill(texts.get((visitor.state, language), ""), PAGE_VARIABLES, values)


def _values(visitor: Visitor, language: str, firm: Company) -> dict[str, str]:
    locale = formatting_locale(language, firm.currency)
    return {
        "name": visitor.name,
        "amount": money.format_money(visitor.debt, firm.currency, locale),
        "due": _day(visitor.due, language, firm) if visitor.due else "",
        "company": firm.name,
        "phone": firm.phone,
    }


def _day(day: date, language: str, firm: Company) -> str:
    return dates.format_date(day, "long", locale=formatting_locale(language, firm.currency))


def _moment(moment: datetime, language: str, firm: Company) -> str:
    local = moment.astimezone(clock.zone(firm.timezone))
    return f"{_day(local.date(), language, firm)}, {local:%H:%M}"


def _paragraphs(text: str) -> list[Markup]:
    """Lines of a text with its web addresses as links; everything else is escaped."""
    return [_linked(line) for line in text.splitlines() if line.strip()]


def _linked(line: str) -> Markup:
    done, at = Markup(""), 0
    for match in _LINK.finditer(line):
        anchor = Markup('<a href="{0}" rel="noreferrer">{0}</a>').format(match[0])
        done, at = done + escape(line[at : match.start()]) + anchor, match.end()
    return done + escape(line[at:])


def sample(state: str, language: str, firm: Company, day: date) -> Response:
    """The page as a client would see it, with made-up data; for whoever edits the texts."""
    visitor: Any = Visitor(
        client_id=0, name="María Pérez", language=language, state=state, reason="debt" if state == "cut" else "",
        debt=35_000, due=day, personal=True, may_confirm=state == "notice", confirmed_at=None, back_at=None,
        seen_at=None, day=day, added_at=clock.now(),
    )  # fmt: skip
    return render(visitor, language, firm, token="-" if state == "notice" else "")
