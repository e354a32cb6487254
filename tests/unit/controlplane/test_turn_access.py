"""Which TURN service is handed out, and how mail nodes' credentials stay apart."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import FleetFullError
from controlplane.nodes.turn_access import (
    LARGEST_MODULUS,
    TurnCandidate,
    TurnChoice,
    TurnService,
    announce,
    choose_for_pools,
    choose_offers,
    choose_turn_service,
    decide_modulus,
    divide_into_pools,
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
        group=st.sampled_from([None, "eu", "us"]),
    ),
    max_size=6,
    unique_by=lambda candidate: candidate.node,
)


def candidate(
    node: str,
    host: str,
    *ports: int,
    is_connected: bool = True,
    is_draining: bool = False,
    group: str | None = None,
) -> TurnCandidate:
    return TurnCandidate(node, host, 3478, is_connected, is_draining, udp_ports=frozenset(ports), group=group)


def list_pools(*candidates: TurnCandidate) -> dict[str | None, list[str]]:
    return {group: [each.node for each in pool] for group, pool in divide_into_pools(candidates).items()}


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


def test_fleet_without_groups_is_one_pool() -> None:
    assert list_pools() == {None: []}
    assert list_pools(candidate("turn1", "192.0.2.1"), candidate("turn2", "")) == {None: ["turn1", "turn2"]}


def test_group_with_turn_nodes_of_its_own_is_a_pool() -> None:
    pools = list_pools(candidate("turn1", "192.0.2.1"), candidate("turn2", "192.0.2.2", group="eu"))

    assert pools == {None: ["turn1"], "eu": ["turn2"]}


def test_turn_nodes_that_are_all_in_groups_are_the_pool_of_the_fleet_too() -> None:
    pools = list_pools(
        candidate("turn1", "192.0.2.1", group="us"), candidate("turn2", "192.0.2.2", group="eu")
    )

    assert pools == {None: ["turn1", "turn2"], "us": ["turn1"], "eu": ["turn2"]}


@pytest.mark.parametrize(("is_connected", "is_draining"), [(False, False), (True, True), (False, True)])
def test_group_whose_turn_nodes_take_no_calls_is_served_by_the_fleet_if_that_does(
    *, is_connected: bool, is_draining: bool
) -> None:
    idle = candidate("turn2", "192.0.2.2", is_connected=is_connected, is_draining=is_draining, group="eu")
    fleet = candidate("turn1", "192.0.2.1")

    assert list_pools(fleet, idle) == {None: ["turn1"]}
    assert list_pools(fleet, idle, candidate("turn3", "192.0.2.3", group="eu"))["eu"] == ["turn2", "turn3"]
    assert list_pools(replace(fleet, is_connected=False), idle)["eu"] == ["turn2"]
    assert list_pools(replace(fleet, is_draining=True), idle)["eu"] == ["turn2"]


def test_turn_node_that_apps_cannot_find_makes_no_pool() -> None:
    pools = list_pools(candidate("turn1", "192.0.2.1"), candidate("turn2", "2001:db8::1", group="eu"))

    assert pools == {None: ["turn1"]}


def test_name_is_that_of_the_fleets_pool_alone() -> None:
    named = TurnService("turn.example.org", 3478)
    nodes = [candidate("turn1", "192.0.2.1", 3478), candidate("turn2", "192.0.2.2", 443, 3478, group="eu")]

    assert choose_for_pools(nodes, named, {}) == {
        None: TurnChoice(named, {3478: "turn.example.org"}),
        "eu": TurnChoice(TurnService("192.0.2.2", 3478), {443: "192.0.2.2", 3478: "192.0.2.2"}),
    }


def test_service_in_use_is_kept_in_each_pool() -> None:
    nodes = [
        candidate(f"turn{number}", f"192.0.2.{number}", group=None if number < 3 else "eu")
        for number in range(1, 5)
    ]
    in_use: dict[str | None, TurnChoice] = {
        None: TurnChoice(TurnService("192.0.2.2", 3478)),
        "eu": TurnChoice(TurnService("192.0.2.4", 3478)),
    }

    assert choose_for_pools(nodes, None, in_use) == in_use


@given(any_candidates, st.sampled_from([None, TurnService("turn.example.org", 3478)]))
def test_choice_for_pools_settles_and_leaves_no_group_worse_off(
    candidates: list[TurnCandidate], named: TurnService | None
) -> None:
    choices = choose_for_pools(candidates, named, {})

    assert choose_for_pools(candidates, named, choices) == choices
    assert choices.keys() <= {None, *(each.group for each in candidates)}
    assert all(choice.usual is not None for group, choice in choices.items() if group is not None)
