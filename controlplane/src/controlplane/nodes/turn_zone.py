"""Decide which addresses the fleet's TURN name should have now.

For: whoever publishes the name: a DNS server that is told by hand, by script or by update.
Not for: publishing it.

    connected, not draining ▶ in      draining, or not heard of ▶ out
    nobody left ▶ all that are connected, and if nobody is, all

A name without addresses would end calls everywhere; an address that may be dead only costs an app a moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlmodel import Field, SQLModel

TTL_SECONDS = 60


class Absence(StrEnum):
    """Why a node's addresses are left out."""

    DRAINING = "draining"
    NOT_CONNECTED = "not connected"


@dataclass(frozen=True, slots=True)
class ZoneCandidate:
    """A TURN node as far as the zone goes."""

    node: str
    addresses: tuple[str, ...]
    is_connected: bool
    is_draining: bool

    @property
    def absence(self) -> Absence | None:
        """Why it does not belong in the zone; `None` if it does."""
        if not self.is_connected:
            return Absence.NOT_CONNECTED
        return Absence.DRAINING if self.is_draining else None


class ZoneNodePublic(SQLModel):
    """One TURN node's addresses, and whether they are published."""

    node: str
    addresses: list[str]
    absence: Absence | None = Field(description="Why they are left out; null where they are published.")


class TurnZonePublic(SQLModel):
    """What the TURN name should resolve to."""

    name: str | None = Field(description="Null where the fleet has no TURN name.")
    ttl_seconds: int
    nodes: list[ZoneNodePublic]
    records: list[str] = Field(description="Lines of a zone file; none without a name.")


def decide_zone(name: str | None, candidates: Sequence[ZoneCandidate]) -> TurnZonePublic:
    """Decide who is in, by name of the nodes."""
    ordered = sorted(candidates, key=lambda candidate: candidate.node)
    kept = [each for each in ordered if each.absence is None]
    kept = kept or [each for each in ordered if each.is_connected] or ordered
    addresses = sorted({address for each in kept for address in each.addresses})
    return TurnZonePublic(
        name=name,
        ttl_seconds=TTL_SECONDS,
        nodes=[
            ZoneNodePublic(
                node=each.node,
                addresses=list(each.addresses),
                absence=None if each in kept else each.absence,
            )
            for each in ordered
        ],
        records=[] if name is None else [_write_record(name, address) for address in addresses],
    )


def _write_record(name: str, address: str) -> str:
    kind = "AAAA" if ":" in address else "A"
    return f"{name.rstrip('.')}. {TTL_SECONDS} IN {kind} {address}"
