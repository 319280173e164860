"""The WSGI application."""

import gc
import os

from wisp.core.config import told_in_one_line
from wisp.factory import create_app

os.umask(0o077)  # before the first file: what the program writes is for its own user
with told_in_one_line():
    app = create_app()
# All of this lives as long as the process. A collection that went through it kept every thread waiting for 0.1 s.
gc.freeze()
