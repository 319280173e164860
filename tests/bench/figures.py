"""One measured figure beside its floor, and the table of them."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """``measured`` and ``floor`` in ``unit``; ``limit`` is what must be reached, ``at_least`` where more is better.

    ``floor`` is the same work done bare, in the same run; None where the limit is a plain number.
    """

    bench: str
    work: str
    measured: float
    limit: float
    unit: str = "s"
    floor: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Measured for each unit of the floor."""
        return self.measured / self.floor if self.floor else None

    @property
    def reached(self) -> bool:
        """Whether the figure is what it must be."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def document(self) -> dict[str, Any]:
        """For bench.json."""
        return {**asdict(self), "ratio": self.ratio, "reached": self.reached}


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def table(figures: list[Figure]) -> str:
    """The figures as text, a line each."""
    rows = [("", "work", "measured", "floor", "ratio", "must be", "unit", "", "")]
    for figure in figures:
        sign = "≥" if figure.at_least else "≤"
        rows.append(
            (
                figure.bench,
                figure.work,
                _number(figure.measured),
                _number(figure.floor),
                _number(figure.ratio),
                f"{sign} {_number(figure.limit)}",
                figure.unit,
                "reached" if figure.reached else "MISSED",
                figure.note,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)
