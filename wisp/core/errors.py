"""How a use case says no: a code with its values. The sentence is made where a person reads it."""

from typing import Any

messages: dict[str, Any] = {}
"""Code of a refusal -> its sentence with %(name)s places, usually a lazy text. Each slice adds its own."""


class Refused(Exception):
    """A use case says no and changed nothing. ``code`` names why, ``args`` fill the sentence.

    A command ends with exit 1 and the sentence; a page shows it as a message.
    """

    def __init__(self, code: str, /, **values: Any) -> None:
        super().__init__(code, values)
        self.code = code
        self.values = values

    def __str__(self) -> str:
        return sentence(self.code, self.values)


def sentence(code: str, values: dict[str, Any] | None = None) -> str:
    """The sentence of ``code`` in the present language. An unknown code is shown with its values, never hidden."""
    text = messages.get(code)
    if text is None:
        details = ", ".join(f"{name}={value}" for name, value in (values or {}).items())
        return f"{code} ({details})" if details else code
    if not values:
        return str(text)
    return str(text) % {
        name: ", ".join(map(str, v)) if isinstance(v, (list, tuple)) else v for name, v in values.items()
    }
