"""Whom a node probes next: all in turn, a few at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodelink.channel.probing import ProbeError, ProbeRounds, choose_next
from nodelink.contract.reports import MAX_PROBES, PROBED_AT_ONCE

pytestmark = pytest.mark.anyio

names = st.lists(st.text("abc123", min_size=1, max_size=4), max_size=30)


@given(names, st.text("abc123", max_size=4))
def test_all_peers_come_in_turn(peers: list[str], last: str) -> None:
    seen: set[str] = set()
    for _ in range(-(-len(set(peers)) // PROBED_AT_ONCE)):
        chosen = choose_next(peers, last)
        assert len(chosen) == min(PROBED_AT_ONCE, len(set(peers)))
        seen.update(chosen)
        last = chosen[-1]
    assert seen == set(peers)


async def test_results_are_bounded_and_those_of_former_peers_are_forgotten() -> None:
    peers = [f"node{number:03}" for number in range(MAX_PROBES + 1)]

    async def probe(peer: str) -> float:
        if peer == "node064":
            raise ProbeError("x" * 1000)
        return 0.5

    rounds = ProbeRounds(list_peers=lambda: peers, probe=probe, clock=lambda: 9.0)
    for _ in range(13):
        await rounds.run_round()
    results = rounds.read_results()
    assert len(results) == MAX_PROBES
    assert (results[-1].peer, results[-1].problem, results[-1].seconds) == ("node064", "x" * 500, None)
    del peers[2:]
    assert [result.peer for result in rounds.read_results()] == ["node000", "node001"]
