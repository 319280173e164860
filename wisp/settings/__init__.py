"""The company and its settings."""

from flask import Flask

from wisp.web import formats


def setup(app: Flask) -> None:
    """What the frame shows of the company."""
    from zoneinfo import ZoneInfo

    from wisp.settings import service

    def facts() -> formats.Facts:
        firm = service.company()
        return formats.Facts(firm.name, ZoneInfo(firm.timezone), firm.currency, firm.language)

    formats.provide(facts)
