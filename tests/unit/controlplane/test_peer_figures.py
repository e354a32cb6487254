"""What nodes say of one server of others, added up as Madmail shows it."""

import pytest

from controlplane.madmail_rpc.peer_figures import HEALTHS, add_up_peer, judge_peer
from nodelink.contract.federation import PeerTraffic


def peer(**figures: object) -> PeerTraffic:
    counts = {f"{what}_{how}": 0 for what in ("delivered", "failed") for how in ("https", "http", "smtp")}
    nothing = {"mean_latency_seconds": None, "last_seen_seconds": None, "last_problem": None}
    fields = {"domain": "a.example", "queued": 0, "refused": 0, "received": 0, **counts, **nothing}
    return PeerTraffic.model_validate(fields | figures)


def test_figures_of_all_nodes_are_added_up() -> None:
    first = peer(delivered_https=3, failed_smtp=1, queued=2, mean_latency_seconds=0.1, last_seen_seconds=5)
    second = peer(delivered_smtp=1, received=4, mean_latency_seconds=0.5, last_seen_seconds=9)

    found = add_up_peer("a.example", [first, second, peer()])

    assert found == {
        "domain": "a.example",
        "queued_messages": 2,
        "failed_http": 0,
        "failed_https": 0,
        "failed_smtp": 1,
        "success_http": 0,
        "success_https": 3,
        "success_smtp": 1,
        "inbound_deliveries": 4,
        "successful_deliveries": 4,
        "mean_latency_ms": 200,
        "last_active": 9,
    }
    assert add_up_peer("a.example", [])["mean_latency_ms"] == 0


@pytest.mark.parametrize(
    ("delivered", "failed", "health"),
    [(0, 0, "perfect"), (9, 0, "perfect"), (3, 7, "federated"), (299, 701, "bad"), (0, 1, "bad")],
)
def test_health_is_told_by_the_share_of_attempts_that_succeed(
    delivered: int, failed: int, health: str
) -> None:
    found = judge_peer(add_up_peer("a.example", [peer(delivered_https=delivered, failed_http=failed)]))

    assert found == health
    assert health in HEALTHS
