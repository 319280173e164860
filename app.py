"""The WSGI application: ``gunicorn app:app``, ``flask run``."""

from wisp.factory import create_app

app = create_app()
