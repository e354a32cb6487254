"""From policy, TURN and secrets to a desired state."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.nodes.states import LiveSecrets, NodeFacts, decide_state, digest_state
from controlplane.nodes.turn_access import TurnService
from controlplane.policy.inheritance import inherit
from controlplane.policy.models import FleetRules, Overrides, PolicyValues
from nodelink.contract.states import MailNodeState, NodeKind, TurnNodeState

DAY = 86_400
SECRET = "secret of the fleet"
KEYS = ["one", "two"]
SECRETS = LiveSecrets(SECRET, ("next " + SECRET, SECRET))
VALUES = PolicyValues(
    registration_open=True,
    jit_enabled=False,
    registration_token_required=True,
    app_accounts_enabled=False,
    backup_addresses=2,
    quota_bytes=1 << 30,
    message_bytes=1 << 24,
    message_retention_days=30,
    unused_account_days=0,
    large_message_retention_days=7,
    auto_trim=True,
    turn_enabled=True,
    push_enabled=True,
    push_pauses=True,
    turn_announced_port=0,
)
RULES = FleetRules(turn_lifetime_seconds=5 * DAY, turn_allocations_per_credential=16, turn_allocations=4096)
MAIL = NodeFacts(NodeKind.MAIL, 3, VALUES, RULES, TurnService("192.0.2.1", 3478), 16, SECRETS, weight=30)
TURN = NodeFacts(NodeKind.TURN, None, VALUES, RULES, None, 16, SECRETS)

any_value = st.one_of(st.none(), st.booleans())
any_quota = st.one_of(st.none(), st.integers(1 << 20, 1 << 50))
any_overrides = st.builds(
    Overrides,
    registration_open=any_value,
    jit_enabled=any_value,
    registration_token_required=any_value,
    quota_bytes=any_quota,
    message_bytes=st.none(),
)


def mail_state(facts: NodeFacts) -> MailNodeState:
    state = decide_state(facts)
    assert isinstance(state, MailNodeState)
    return state


def test_mail_node_is_told_the_policy_in_force() -> None:
    state = mail_state(MAIL)

    assert (state.registration_open, state.jit_enabled) == (True, False)
    assert state.registration_token_required
    assert (state.app_accounts_enabled, state.backup_addresses, state.weight) == (False, 2, 30)
    assert (state.quota_bytes, state.message_bytes) == (1 << 30, 1 << 24)


def test_mail_node_is_told_where_turn_is_and_what_is_its_own_residue() -> None:
    turn = mail_state(MAIL).turn

    assert turn is not None
    assert (turn.host, turn.port, turn.secret) == ("192.0.2.1", 3478, SECRET)
    assert (turn.residue, turn.modulus, turn.lifetime_seconds) == (3, 16, 5 * DAY)


def test_mail_node_without_turn_is_told_so() -> None:
    assert mail_state(replace(MAIL, turn=None)).turn is None


def test_mail_node_where_turn_is_off_is_told_of_none() -> None:
    off = VALUES.model_copy(update={"turn_enabled": False})

    assert mail_state(replace(MAIL, policy=off)).turn is None


def test_turn_node_accepts_whatever_mail_nodes_issue() -> None:
    state = decide_state(TURN)

    assert isinstance(state, TurnNodeState)
    assert state.secrets == ("next " + SECRET, SECRET)
    assert state.credential_lifetime_seconds > RULES.turn_lifetime_seconds
    assert (state.allocations_per_credential, state.allocations) == (16, 4096)


@pytest.mark.parametrize("lifetime", [DAY, 30 * DAY])
def test_shortest_and_longest_lifetime_are_within_the_contract(lifetime: int) -> None:
    rules = RULES.model_copy(update={"turn_lifetime_seconds": lifetime})

    assert decide_state(replace(TURN, rules=rules)).kind is NodeKind.TURN
    assert decide_state(replace(MAIL, rules=rules)).kind is NodeKind.MAIL


def test_secret_does_not_show_when_facts_are_logged() -> None:
    assert SECRET not in repr(MAIL)


def test_another_secret_is_another_state() -> None:
    other = replace(MAIL, secrets=LiveSecrets("another secret of it", SECRETS.live))

    assert digest_state(decide_state(MAIL), KEYS) != digest_state(decide_state(other), KEYS)


def test_another_key_to_be_trusted_is_another_state() -> None:
    state = decide_state(MAIL)

    assert len({digest_state(state, keys) for keys in (KEYS, ["one"], ["two", "one"], [])}) == 4


def test_node_that_differs_goes_before_the_fleet() -> None:
    merged = inherit(VALUES, [Overrides(registration_open=False)])

    assert merged == VALUES.model_copy(update={"registration_open": False})


@given(any_overrides, any_overrides)
def test_nearest_word_counts(far: Overrides, near: Overrides) -> None:
    merged = inherit(VALUES, [far, near])

    for name in PolicyValues.model_fields:
        words = [getattr(near, name), getattr(far, name), getattr(VALUES, name)]
        assert getattr(merged, name) == next(word for word in words if word is not None)
