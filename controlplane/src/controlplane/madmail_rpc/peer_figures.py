"""Add up what nodes say of one server of others, in the words of Madmail, and judge how it goes.

    no failure ▶ perfect        less than three in ten attempts succeed ▶ bad        otherwise ▶ federated

For: the dashboard, and the list of servers. Pure functions.
Not for: asking nodes (federation/peers.py).
"""

from collections.abc import Iterable
from typing import Final, TypedDict

from pydantic import JsonValue, TypeAdapter

from nodelink.contract.federation import PeerTraffic

HEALTHS: Final = ("perfect", "federated", "bad")
LOWEST_SHARE = 0.3


class PeerFigures(TypedDict):
    """One server, as the admin web reads it."""

    domain: str
    queued_messages: int
    failed_http: int
    failed_https: int
    failed_smtp: int
    success_http: int
    success_https: int
    success_smtp: int
    inbound_deliveries: int
    successful_deliveries: int
    mean_latency_ms: int
    last_active: int


def add_up_peer(domain: str, peers: Iterable[PeerTraffic]) -> PeerFigures:
    """Add up what several nodes say of one peer. Latency is the mean by what each has delivered."""
    rows = [*peers]
    timed = [
        (row.mean_latency_seconds, max(1, row.delivered_https + row.delivered_http + row.delivered_smtp))
        for row in rows
        if row.mean_latency_seconds is not None
    ]
    count = sum(delivered for _, delivered in timed)
    seconds = sum(latency * delivered for latency, delivered in timed) / count if count else 0.0
    by_way = {
        "http": sum(row.delivered_http for row in rows),
        "https": sum(row.delivered_https for row in rows),
        "smtp": sum(row.delivered_smtp for row in rows),
    }
    return PeerFigures(
        domain=domain,
        queued_messages=sum(row.queued for row in rows),
        failed_http=sum(row.failed_http for row in rows),
        failed_https=sum(row.failed_https for row in rows),
        failed_smtp=sum(row.failed_smtp for row in rows),
        success_http=by_way["http"],
        success_https=by_way["https"],
        success_smtp=by_way["smtp"],
        inbound_deliveries=sum(row.received for row in rows),
        successful_deliveries=sum(by_way.values()),
        mean_latency_ms=round(1000 * seconds),
        last_active=max((row.last_seen_seconds or 0 for row in rows), default=0),
    )


def write_peer(domain: str, peers: Iterable[PeerTraffic]) -> dict[str, JsonValue]:
    """Write one server as an answer has it."""
    return TypeAdapter(dict[str, JsonValue]).validate_python(add_up_peer(domain, peers))


def judge_peer(peer: PeerFigures) -> str:
    """Say how it goes with a server, as Madmail does."""
    failed = peer["failed_http"] + peer["failed_https"] + peer["failed_smtp"]
    if not failed:
        return "perfect"
    succeeded = peer["successful_deliveries"]
    return "bad" if succeeded / (succeeded + failed) < LOWEST_SHARE else "federated"
