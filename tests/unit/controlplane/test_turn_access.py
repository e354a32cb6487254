"""Which TURN service is handed out, and how mail nodes' credentials stay apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import FleetFullError
from controlplane.nodes.turn_access import (
    LARGEST_MODULUS,
    TurnCandidate,
    TurnService,
    announce,
    choose_offers,
    choose_turn_service,
    decide_modulus,
)

any_candidates = st.lists(
    st.builds(
        TurnCandidate,
        node=st.sampled_from(["turn1", "turn2", "turn3", "turn4"]),
        public_name=st.sampled_from(["192.0.2.1", "192.0.2.2", "turn.example.org", "", "2001:db8::1", "a b"]),
        public_port=st.sampled_from([3478, 3479]),
        is_connected=st.booleans(),
        is_draining=st.booleans(),
        udp_ports=st.frozensets(st.sampled_from([53, 443, 3478, 3479])),
    ),
    max_size=6,
    unique_by=lambda candidate: candidate.node,
)


def candidate(
    node: str, host: str, *ports: int, is_connected: bool = True, is_draining: bool = False
) -> TurnCandidate:
    return TurnCandidate(node, host, 3478, is_connected, is_draining, udp_ports=frozenset(ports))


def test_fleet_without_a_turn_node_has_no_turn_service() -> None:
    assert choose_turn_service([], None) is None


def test_connected_node_goes_before_one_that_is_not() -> None:
    nodes = [candidate("turn1", "192.0.2.1", is_connected=False), candidate("turn2", "192.0.2.2")]

    assert choose_turn_service(nodes, TurnService("192.0.2.1", 3478)) == TurnService("192.0.2.2", 3478)


def test_node_that_is_not_connected_is_better_than_none() -> None:
    nodes = [candidate("turn1", "192.0.2.1", is_connected=False)]

    assert choose_turn_service(nodes, None) == TurnService("192.0.2.1", 3478)


def test_service_in_use_is_kept_when_another_one_appears() -> None:
    nodes = [candidate("turn1", "192.0.2.1"), candidate("turn2", "192.0.2.2")]

    assert choose_turn_service(nodes, TurnService("192.0.2.2", 3478)) == TurnService("192.0.2.2", 3478)


@pytest.mark.parametrize("host", ["", "2001:db8::1", "a b", "-x", "a\n", "x" * 254])
def test_what_apps_could_not_use_is_not_handed_out(host: str) -> None:
    assert choose_turn_service([candidate("turn1", host)], None) is None


def test_longest_name_is_handed_out() -> None:
    assert choose_turn_service([candidate("turn1", "x" * 253)], None) == TurnService("x" * 253, 3478)


@given(any_candidates)
def test_order_of_candidates_does_not_count(candidates: list[TurnCandidate]) -> None:
    assert choose_turn_service(candidates, None) == choose_turn_service(reversed(candidates), None)


@given(any_candidates)
def test_choice_is_stable_while_nothing_changes(candidates: list[TurnCandidate]) -> None:
    chosen = choose_turn_service(candidates, None)

    assert choose_turn_service(candidates, chosen) == chosen


@pytest.mark.parametrize(
    ("count", "modulus"),
    [(0, 16), (1, 16), (16, 16), (17, 32), (32, 32), (33, 64), (LARGEST_MODULUS, LARGEST_MODULUS)],
)
def test_modulus_is_the_power_of_two_that_has_room_for_all(count: int, modulus: int) -> None:
    assert decide_modulus(count) == modulus


def test_more_mail_nodes_than_residues_are_refused() -> None:
    with pytest.raises(FleetFullError):
        decide_modulus(LARGEST_MODULUS + 1)


@given(st.integers(0, LARGEST_MODULUS - 1))
def test_modulus_only_grows_and_has_room_for_every_residue(count: int) -> None:
    assert decide_modulus(count) <= decide_modulus(count + 1)
    assert count < decide_modulus(count + 1)


def test_port_is_offered_with_the_host_that_listens_there() -> None:
    nodes = [candidate("turn1", "192.0.2.1", 3478), candidate("turn2", "192.0.2.2", 3478, 443)]

    assert choose_offers(nodes, None, {}) == {443: "192.0.2.2", 3478: "192.0.2.1"}
    assert choose_offers(nodes, None, {3478: "192.0.2.2"}) == {443: "192.0.2.2", 3478: "192.0.2.2"}
    assert choose_offers(nodes, "turn.example.org", {}) == dict.fromkeys((443, 3478), "turn.example.org")


def test_port_of_a_node_that_takes_no_calls_is_not_offered_while_another_node_does() -> None:
    here = candidate("turn1", "192.0.2.1", 3478)
    away = candidate("turn2", "192.0.2.2", 443, is_connected=False)
    full = candidate("turn3", "192.0.2.3", 53, is_draining=True)

    assert choose_offers([here, away, full], None, {}) == {3478: "192.0.2.1"}
    assert choose_offers([away, full], None, {}) == {53: "192.0.2.3"}
    assert choose_offers([away], None, {}) == {443: "192.0.2.2"}


def test_what_apps_could_not_use_is_offered_only_behind_a_name() -> None:
    nodes = [candidate("turn1", "2001:db8::1", 443)]

    assert choose_offers(nodes, None, {}) == {}
    assert choose_offers(nodes, "turn.example.org", {}) == {443: "turn.example.org"}


@given(any_candidates)
def test_offers_are_stable_while_nothing_changes(candidates: list[TurnCandidate]) -> None:
    offers = choose_offers(candidates, None, {})

    assert choose_offers(reversed(candidates), None, {}) == offers
    assert choose_offers(candidates, None, offers) == offers
    listening = {(each.public_name, port) for each in candidates for port in each.udp_ports}
    assert {(host, port) for port, host in offers.items()} <= listening


def test_policy_s_port_is_announced_where_it_is_offered() -> None:
    usual = TurnService("192.0.2.1", 3478)
    offers = {443: "192.0.2.2"}

    assert announce(usual, 443, offers) == TurnService("192.0.2.2", 443)
    assert announce(usual, 0, offers) == announce(usual, 53, offers) == usual
    assert announce(None, 443, offers) is None
