"""The client pages by HTTP: notice and cut, "Entendido", the questions of operating systems, other sites' addresses.

No session, no log-in, no look-up of a user: a page is two SQL statements, a probe one or two.
"""

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, current_app, make_response, redirect, request
from sqlalchemy.exc import DBAPIError

from wisp.access.rules import service as rules
from wisp.core.db import transaction
from wisp.core.extensions import csrf
from wisp.core.locales import language_or
from wisp.portal import domain, links, presenters, service
from wisp.portal.service import Visitor
from wisp.settings.models import Company
from wisp.settings.service import company
from wisp.web import go, public

bp = Blueprint("portal", __name__)
csrf.exempt(bp)  # without a session there is nothing that its token could be bound to; see confirm()

PAGE = "/aviso/"


@bp.get(PAGE)
@public
def page() -> Response:
    """The page of the client that has the visitor's address."""
    return _page(company())


@bp.get(f"{PAGE}c/<token>/")
@public
def by_link(token: str) -> Response:
    """The page of the client whom a signed link names, wherever it is opened."""
    return _page(company(), token)


@bp.post(presenters.CONFIRM)
@public
def confirm() -> Response:
    """ "Entendido". The form's token was signed for the client on whose page it stood, and is good for a day; the
    visitor must still be that client, by its address or by the same link."""
    secret, link = current_app.config["WISP"].secret_key, request.form.get("link", "")
    named = links.signed(secret, links.CONFIRM, request.form.get("token", ""))
    visitor = _visitor(company(), link)
    if visitor is None or named is None or named.client_id != visitor.client_id:
        return _page(company(), link, status=409)
    with transaction():
        service.confirm(visitor.client_id)
    return go(f"{PAGE}c/{link}/" if link else PAGE)


def _probe() -> Response:
    """What an operating system asks to learn whether something stands in the way: for clients on a list, yes. So too
    for an address that we do not know, where only a router's rule can have sent the question here."""
    address = _address()
    kind = service.listed(address)
    if kind or (kind is None and address is not None and _is_strange(_host(request.host))):
        return _to_page()
    body, kind, status = domain.PROBES[request.path]
    return Response(body, status, content_type=kind)


for _path in domain.PROBES:
    bp.add_url_rule(_path, f"probe_{_path.strip('/').replace('/', '_').replace('.', '_')}", public(_probe))


def gate() -> Response | None:
    """Answer what was meant for another site and was sent here by a router's rule.

    A client on a list gets its page, whatever it asked for. An unknown visitor gets the neutral page where the name is
    not ours and we would have nothing there. Never for this machine's own requests nor for names without a dot.
    """
    if (request.endpoint or "").startswith("portal."):
        return None
    if request.blueprint == "health":
        return _for_machines()
    host, address = _host(request.host), _address()
    if _is_clients_address(company()):
        return _to_page() if request.path == "/" else _page(company(), status=404)
    if address is None or host == _own() or not ("." in host or ":" in host):
        return None
    if host in company().page_servers.split():
        return _to_page() if request.path == "/" else None
    if service.listed(address):
        return _to_page()
    if not _is_strange(host) or not (request.endpoint is None or request.path == "/"):
        return None
    return _page(company())


def _for_machines() -> Response | None:
    """What watches the program asks at our address; at the clients' there is no such page. Without a database there is
    no telling, and no harm."""
    try:
        theirs = company().page_servers.split()
    except DBAPIError:
        return None
    if _host(request.host) in theirs:
        abort(404)
    return None


def _is_clients_address(firm: Company) -> bool:
    """Whether the request names where clients are sent, in clear and open to all of them: the office is not there."""
    host, _colon, port = request.host.rpartition(":")
    ours = _host(request.host) in firm.page_servers.split() and request.host != urlsplit(_public()).netloc
    return bool(host) and ours and port in (str(firm.page_port_cut), str(firm.page_port_notice))


def _public() -> str:
    return str(current_app.config["WISP"].url)


def _own() -> str:
    """The name in this program's public address."""
    return urlsplit(current_app.config["WISP"].url).hostname or ""


def _is_strange(host: str) -> bool:
    """Whether a name is certainly another site's: no address, not our name, and ours is known."""
    own = _own()
    return "." in host and not _is_address(host) and host != own and not (_is_loopback(own) and not _base(company()))


def page_url(client_id: int) -> str:
    """The address of a client's own page with its signed link, for an e-mail."""
    config = current_app.config["WISP"]
    return f"{config.url}{PAGE}c/{links.sign(config.secret_key, links.PAGE, client_id)}/"


def _to_page() -> Response:
    """To the page at our own address, so that the browser shows it as ours; where we know none, the page itself."""
    firm = company()
    base = _base(firm)
    return make_response(redirect(f"{base}{PAGE}", 302)) if base else _page(firm)


def _base(firm: Company) -> str:
    """Where a client's browser reaches this program: where its router sent it, for the rules leave that open to those
    who are cut; else the program's public address. Empty where that is this machine."""
    page = rules.settings().page
    if page:
        state = service.listed(_address())
        return f"http://{page}:{firm.page_port_cut if state == 'cut' else firm.page_port_notice}"
    base = str(current_app.config["WISP"].url)
    return "" if _is_loopback(urlsplit(base).hostname or "") else base


def _page(firm: Company, link: str = "", *, status: int = 200) -> Response:
    visitor = _visitor(firm, link)
    if visitor is None:
        language = domain.language_of(request.headers.get("Accept-Language", ""), language_or(firm.language))
        return presenters.document(None, language, firm, status=404 if link else status)
    page = presenters.document(visitor, language_or(visitor.language), firm, link=link, status=status)
    if request.method == "GET":
        current_app.extensions["wisp_looks"].count(visitor)
    return page


def _visitor(firm: Company, link: str) -> Visitor | None:
    if link:
        named = links.signed(current_app.config["WISP"].secret_key, links.PAGE, link)
        return service.by_id(named.client_id, firm, there_at=named.at) if named is not None else None
    return service.by_address(_address(), firm)


def _address() -> str | None:
    return domain.normal(request.remote_addr)


def _host(text: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{text}").hostname or ""
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host in ("", "localhost") or (_is_address(host) and bool(ip_address(host).is_loopback))


def page_facts(client_id: int) -> dict[str, Any]:
    """What the client's file shows of its page: the link, the days it was seen, the last confirmation."""
    return {
        "link": page_url(client_id),
        "visits": service.visits(client_id),
        "pause": service.pause_of(client_id),
    }
