"""The WSGI application: ``gunicorn app:app``, ``flask run``."""

from wisp.core.config import told_in_one_line
from wisp.factory import create_app

with told_in_one_line():
    app = create_app()
