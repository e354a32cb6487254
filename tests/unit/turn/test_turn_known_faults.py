"""Every probe and fault that is known of TURN servers, and the test that shows that ours does not have it."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
UNIT, PROTOCOL, FUZZ = "unit/turn/", "protocol/turn/", "fuzz/turn/"

KNOWN: dict[str, str] = {
    # Probes.
    "peer 169.254.169.254, 10/8, 192.168/16, 100.64/10, multicast, broadcast": UNIT
    + "test_turn_requests.py::test_peer_that_is_not_globally_routable_gets_403",
    "peer ::ffff:127.0.0.1, 64:ff9b::/96, 2002::/16, fd00::/8": UNIT
    + "test_turn_requests.py::test_ipv6_peer_that_is_not_globally_routable_gets_403",
    "any IPv4 address inside an IPv6 one": UNIT
    + "test_peer_policy.py::test_ipv4_address_inside_an_ipv6_one_is_refused_whatever_it_is",
    "6to4 and Teredo": UNIT + "test_peer_policy.py::test_6to4_and_teredo_addresses_are_refused",
    "first and last address of each special network": UNIT
    + "test_peer_policy.py::test_first_and_last_address_of_each_special_network_is_refused",
    "the same once more, in the firewall": PROTOCOL
    + "test_turn_egress_guard.py::test_only_what_the_policy_permits_leaves_from_relay_ports",
    "own addresses but for live relay ports": UNIT
    + "test_turn_data.py::test_other_ports_of_the_node_are_out_of_reach",
    "deny list that locks out relay to relay": UNIT
    + "test_peer_policy.py::test_live_relay_port_of_this_node_is_permitted",
    "peer appended after MESSAGE-INTEGRITY": FUZZ
    + "test_stun_fuzz.py::test_attributes_appended_after_the_proof_change_nothing",
    "401 that amplifies": UNIT
    + "test_turn_authentication.py::test_challenge_is_less_than_1_8_times_the_smallest_request",
    "401 with password algorithms that amplifies": UNIT
    + "test_password_algorithms.py"
    + "::test_list_is_offered_only_where_the_answer_stays_below_1_8_times_the_request",
    "answers to forged sources without end": UNIT
    + "test_turn_authentication.py::test_stranger_gets_its_burst_of_answers_and_then_none",
    "TCP relay": PROTOCOL + "test_turn_streams.py::test_relay_by_tcp_to_peers_gets_442",
    "ports used up by one credential": UNIT
    + "test_turn_requests.py::test_credential_gets_486_beyond_its_quota_and_others_are_not_held_back",
    "ports used up by all": UNIT + "test_turn_requests.py::test_node_gets_508_beyond_its_total",
    "port that EVEN-PORT leaks": UNIT + "test_turn_allocating.py::test_reserved_port_waits_for_half_a_minute",
    "permissions without end": UNIT
    + "test_turn_requests.py"
    + "::test_allocation_gets_508_beyond_its_permissions_and_old_ones_can_be_refreshed",
    "channels without end": UNIT
    + "test_turn_requests.py"
    + "::test_allocation_gets_508_beyond_its_channels_and_old_ones_can_be_refreshed",
    "forged nonce": UNIT + "test_turn_credentials.py::test_nonce_with_any_character_changed_is_refused",
    "nonce of another protocol": PROTOCOL
    + "test_turn_streams.py::test_nonce_of_a_connection_is_worth_nothing_by_udp",
    "client talked down to MD5": UNIT
    + "test_password_algorithms.py::test_nonce_without_its_prefix_or_with_one_that_it_never_had_gets_438",
    "unknown attribute that must be understood": UNIT
    + "test_turn_authentication.py::test_unknown_attribute_gets_401_from_a_stranger_and_420_from_a_client",
    "replay after the credential's end": UNIT + "test_turn_calendar.py::test_credential_ends_by_the_calendar",
    "loop into the own listening port": UNIT
    + "test_turn_data.py::test_own_listening_port_is_out_of_reach_even_where_its_network_is_allowed",
    "attribute longer than its message": FUZZ + "test_stun_fuzz.py::test_message_cut_anywhere_is_refused",
    "message of a stream that never ends": PROTOCOL
    + "test_turn_streams.py::test_connection_that_says_too_little_is_closed",
    "connections without end": PROTOCOL
    + "test_turn_streams.py::test_source_with_too_many_connections_is_turned_away_until_one_ends",
    "client that reads nothing": PROTOCOL
    + "test_turn_streams.py::test_client_that_reads_nothing_costs_a_bounded_memory",
    "channel bound to another peer": UNIT
    + "test_turn_requests.py::test_number_and_peer_stay_together_while_the_channel_lives",
    "bandwidth of others": UNIT
    + "test_turn_usage.py::test_credential_gets_its_rate_and_a_burst_and_not_more",
    "volume without end": UNIT
    + "test_turn_usage.py::test_volume_ends_data_in_both_directions_and_new_allocations",
    "services behind low ports": UNIT + "test_peer_policy.py::test_peers_below_the_lowest_port_are_refused",
    # Faults of other servers.
    "Refresh 0 from a forged address ends a stranger's call": UNIT
    + "test_turn_authentication.py::test_nonce_of_one_address_does_not_end_the_call_of_another",
    "another credential ends a call": UNIT
    + "test_turn_authentication.py::test_other_credential_on_the_same_address_gets_441_and_ends_nothing",
    "memory for each stranger": UNIT + "test_turn_authentication.py::test_strangers_leave_nothing_in_memory",
    "wrong or ended credential answered with 400": UNIT
    + "test_turn_authentication.py::test_credential_that_has_expired_or_ends_too_late_gets_401",
    "any realm accepted": UNIT
    + "test_turn_authentication.py::test_other_realm_gets_401_even_with_a_key_that_fits_it",
    "credential of the year 9999": UNIT
    + "test_turn_credentials.py::test_expiry_must_lie_ahead_and_within_the_longest_lifetime",
    "a log line for each garbage datagram": UNIT
    + "test_turn_authentication.py::test_garbage_is_not_answered_and_not_logged",
    "permission for the first peer only": UNIT
    + "test_turn_requests.py::test_permission_request_with_two_peers_installs_both",
    "no answer without an allocation": UNIT
    + "test_turn_requests.py::test_request_without_an_allocation_gets_437",
    "ICMP error that makes a client deaf": PROTOCOL
    + "test_turn_network_errors.py::test_client_that_may_not_know_of_errors_is_told_of_none",
    "ICMP error that costs another peer a datagram": PROTOCOL
    + "test_turn_network_errors.py::test_dead_candidates_cost_a_living_peer_no_datagram",
    # Faults of our own prototype.
    "data after the credential's end": UNIT + "test_turn_data.py::test_data_stops_with_the_credential",
    "attribute only after MESSAGE-INTEGRITY kills the handler": UNIT
    + "test_turn_authentication.py::test_attribute_that_stands_only_after_the_integrity_is_missing",
    "changed policy that live calls do not notice": UNIT
    + "test_turn_data.py::test_changed_policy_ends_what_it_forbids_and_nothing_else",
}


@pytest.mark.parametrize("fault", KNOWN)
def test_known_fault_has_a_test(fault: str) -> None:
    file, _, name = KNOWN[fault].partition("::")
    tree = ast.parse((TESTS / file).read_text())
    functions = ast.FunctionDef, ast.AsyncFunctionDef

    assert name in {node.name for node in tree.body if isinstance(node, functions)}
