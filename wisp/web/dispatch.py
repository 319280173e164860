"""A request whose transaction the database gave up for another one's sake is answered anew; where that does not help,
the person is told that nothing was saved."""

from typing import NoReturn

from flask import Flask, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import ServiceUnavailable

from wisp.core import db


class DatabaseBusy(ServiceUnavailable):
    """Nothing of the request was saved, because the database is busy."""


def init_app(app: Flask) -> None:
    """Have every view called so."""
    answer = app.dispatch_request

    def attempt() -> ResponseReturnValue:
        for _name, file in request.files.items(multi=True):
            file.seek(0)  # the attempt before may have read it
        return answer()

    def dispatch() -> ResponseReturnValue:
        before = db.commits()
        try:
            return db.repeated(attempt)
        except DBAPIError as error:
            _give_up(error, saved=db.commits() != before)

    app.dispatch_request = dispatch  # type: ignore[method-assign]


def _give_up(error: DBAPIError, *, saved: bool) -> NoReturn:
    if saved or not db.busy(error):
        raise error
    raise DatabaseBusy from error
