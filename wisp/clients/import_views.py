"""Importing a CSV: upload, review, confirm. Nothing is written before the confirmation."""

from flask import Response, request, url_for
from flask_babel import gettext as _

from wisp.clients import csvcheck, csvfile, csvimport, texts, uploads
from wisp.clients.csvcheck import Review
from wisp.clients.forms import UploadForm
from wisp.clients.views import bp
from wisp.core import sheets
from wisp.core.db import transaction
from wisp.core.errors import Refused
from wisp.core.permissions import Permission
from wisp.web import formats, go, render, requires, scope, toast

SHOWN = 20


@bp.route("/accion/importar/", methods=["GET", "POST"])
@requires(Permission.CLIENTS_IMPORT)
def import_upload() -> Response:
    """Choose a file. It is kept for a day, encrypted, until the same person confirms it."""
    form = UploadForm()
    if not form.validate_on_submit():
        status = 422 if request.method == "POST" else 200
        return render(
            "clients/import.html", status=status, form=form, base=csvfile.BASE, optional=csvfile.OPTIONAL,
            spanish=csvfile.SPANISH,
        )  # fmt: skip
    upload = form.file.data
    with transaction():
        token = uploads.keep(upload.read(sheets.MAX_BYTES + 1), upload.filename or "")
    return go(url_for("clients.import_review", token=token))


@bp.get("/accion/plantilla/")
@requires(Permission.CLIENTS_IMPORT)
def import_template() -> Response:
    """A file with the header alone, to be filled in: in Spanish where the page is."""
    response = Response("\ufeff" + csvfile.template(formats.language() == "es"), mimetype="text/csv; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename=_("clients-template.csv"))
    return response


@bp.get("/accion/importar/<token>/")
@requires(Permission.CLIENTS_IMPORT)
def import_review(token: str) -> Response:
    """What the file would do, or what is wrong with it."""
    try:
        upload, data = uploads.find(token)
    except Refused as refused:
        toast(str(refused), "warning")
        return go(url_for("clients.import_upload"))
    return _review_page(token, upload.filename, csvcheck.check(data, scope()))


@bp.post("/accion/importar/<token>/")
@requires(Permission.CLIENTS_IMPORT)
def import_confirm(token: str) -> Response:
    """Check once more and write, all or nothing; the token works once."""
    try:
        with transaction():
            upload, data = uploads.find(token, lock=True)
            review = csvcheck.check(data, scope())
            if not review.problem_count:
                csvimport.apply(review)
                uploads.finish(upload, review)
    except Refused as refused:
        done = refused.code == "clients.upload_done"  # the second of two clicks: it says what the first has done
        toast(str(refused), "info" if done else "warning")
        return go(url_for("clients.index" if done else "clients.import_upload"))
    if review.problem_count:
        return _review_page(token, upload.filename, review)
    toast(
        _("Imported: %(added)s new, %(changed)s changed, %(unchanged)s unchanged.",
          added=len(review.added), changed=len(review.changed), unchanged=review.unchanged)
    )  # fmt: skip
    return go(url_for("clients.index"))


def _review_page(token: str, filename: str, review: Review) -> Response:
    return render(
        "clients/review.html", status=422 if review.problem_count and request.method == "POST" else 200,
        token=token, filename=filename, review=review, texts=texts, shown=SHOWN,
    )  # fmt: skip
