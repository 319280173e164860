"""What part of the provider a query may see: all zones, or only some."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scope:
    """``zone_ids`` None = everything; else only these zones (and the routers and clients in them)."""

    zone_ids: frozenset[int] | None = None

    def allows(self, zone_id: int) -> bool:
        """True where ``zone_id`` is inside."""
        return self.zone_ids is None or zone_id in self.zone_ids


EVERYTHING = Scope()
