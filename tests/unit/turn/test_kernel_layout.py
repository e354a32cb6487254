"""An element for each way of a flow, written at once, is the one that is written for each way alone."""

from hypothesis import given
from hypothesis import strategies as st

from turnnode.kernel.layout import Ends, rewrite, rewrite_both

ipv4 = st.ip_addresses(v=4).map(str)
ipv6 = st.ip_addresses(v=6).map(str)
ports = st.integers(0, 65_535)


def pairs(hosts: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[tuple[str, int], tuple[str, int]]]:
    return st.tuples(st.tuples(hosts, ports), st.tuples(hosts, ports))


@given(pairs(ipv4) | pairs(ipv6), pairs(ipv4) | pairs(ipv6), st.integers(0x4000, 0x7FFF))
def test_both_ways_at_once_are_each_way_alone(
    near: tuple[tuple[str, int], tuple[str, int]], far: tuple[tuple[str, int], tuple[str, int]], channel: int
) -> None:
    (client, server), (relay, peer) = near, far

    assert rewrite_both(Ends(client, server, channel), Ends(relay, peer)) == (
        rewrite(Ends(client, server, channel), Ends(relay, peer)),
        rewrite(Ends(peer, relay), Ends(server, client, channel)),
    )
