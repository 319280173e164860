"""Staff users for tests, and a browser without a screen that is logged in as one of them."""

import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from wisp.core.db import transaction
from wisp.staff import service

PASSWORD = "correct horse battery staple"
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


def make_staff(app: Flask, email: str = "ana@example.com", role: str = "admin", **permissions: bool) -> str:
    """A staff user; keyword arguments named like ``clients_view`` grant (True) or revoke (False) a permission."""
    with app.app_context(), transaction():
        service.create(email, email.split("@")[0].title(), role, PASSWORD)
        for name, granted in permissions.items():
            change = service.grant if granted else service.revoke
            change(email, ":".join(name.rsplit("_", 1)))
    return email


def token(page: str) -> str:
    """The CSRF token of a page with a form."""
    found = TOKEN.search(page)
    assert found, "the page has no CSRF token"
    return found[1]


def log_in(client: FlaskClient, email: str, password: str = PASSWORD, **fields: str) -> Any:
    """Fill in the log-in form as a person does; answers with the response."""
    page = client.get("/entrar/").text
    return client.post("/entrar/", data={"csrf_token": token(page), "email": email, "password": password, **fields})


def signed_in(app: Flask, email: str = "ana@example.com", role: str = "admin", **permissions: bool) -> FlaskClient:
    """A client logged in as a new staff user of this role. Its posts need ``token_of(client)``."""
    client = app.test_client()
    answer = log_in(client, make_staff(app, email, role, **permissions))
    assert answer.status_code == 303, answer.text
    return client


def token_of(client: FlaskClient) -> str:
    """A CSRF token of this client's session, for its posts."""
    return token(client.get("/cuenta/clave/").text)
