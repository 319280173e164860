"""Headers of every answer: content policy, caching, what a browser must not do."""

from flask import Flask, Response, request

POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
FIXED = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # same-origin, not no-referrer: the CSRF check over HTTPS needs the Referer
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def init_app(app: Flask, over_tls: bool) -> None:
    """Add the headers to every answer; HSTS where the public address is HTTPS."""

    @app.after_request
    def add(response: Response) -> Response:
        for name, value in FIXED.items():
            response.headers.setdefault(name, value)
        if over_tls:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        if request.endpoint != "static":
            response.vary.update(("HX-Request-Type", "HX-Target"))
            if "Cache-Control" not in response.headers:
                # a fragment must never be shown as a page, nor a page after log-out
                response.headers["Cache-Control"] = "no-store"
        return response
