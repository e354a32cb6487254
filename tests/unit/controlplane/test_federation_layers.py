"""What holds where the fleet, a group and a node may all say something."""

import pytest
from pydantic import ValidationError

from controlplane.federation.layers import lay, write_state
from controlplane.federation.models import MAX_OWN_RULES, Endpoint, FederationChange, FederationWords, Rule
from nodelink.contract.federation import FederationMode, PeerTransport


def test_without_a_word_mail_is_exchanged_with_everybody_by_https_and_smtp() -> None:
    state = write_state(lay([FederationWords()]))
    assert (state.is_enabled, state.mode, state.rules) == (True, FederationMode.ACCEPT, ())
    assert state.transports == (PeerTransport.HTTPS, PeerTransport.SMTP)


def test_the_nearest_word_counts_and_lists_add_up() -> None:
    fleet = FederationWords(
        is_enabled=False,
        rules=[Rule(domain="a.example")],
        endpoints=[Endpoint(domain="e.example", target="far")],
        dismissed=["d.example"],
    )
    node = FederationWords(
        is_enabled=True,
        rules=[Rule(domain="b.example", transport=PeerTransport.SMTP)],
        endpoints=[Endpoint(domain="e.example", target="near")],
        dismissed=["c.example"],
    )
    state = write_state(lay([fleet, FederationWords(mode=FederationMode.REJECT), node]))
    assert (state.is_enabled, state.mode) == (True, FederationMode.REJECT)
    assert [rule.domain for rule in state.rules] == ["a.example", "b.example"]
    assert [override.target for override in state.overrides] == ["near"]
    assert state.dismissed == ("c.example", "d.example")


@pytest.mark.parametrize(("count", "is_taken"), [(MAX_OWN_RULES, True), (MAX_OWN_RULES + 1, False)])
def test_the_rules_of_a_scope_are_limited(count: int, is_taken: bool) -> None:
    body = {"rules": [{"domain": f"a{number}.example"} for number in range(count)]}
    if is_taken:
        FederationChange.model_validate(body)
    else:
        with pytest.raises(ValidationError):
            FederationChange.model_validate(body)


@pytest.mark.parametrize(
    "body",
    [
        {"rules": [{"domain": "no domain"}]},
        {"rules": [{"domain": "a.example", "transport": "pigeon"}]},
        {"dismissed": ["localhost"]},
        {"endpoints": [{"domain": "a.example", "target": "ftp://x"}]},
        {"endpoints": [{"domain": "a.example", "target": "x"}, {"domain": "A.example", "target": "y"}]},
        {"mode": "maybe"},
        {"is_enabled": 1},
        {"other": 1},
    ],
)
def test_what_is_no_policy_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FederationChange.model_validate(body)


def test_domains_are_written_in_one_way() -> None:
    change = FederationChange.model_validate(
        {"rules": [{"domain": "A.Example"}, {"domain": "[IPv6:2001:DB8::1]"}, {"domain": "[192.0.2.1]"}]}
    )
    assert [rule.domain for rule in change.rules] == ["a.example", "[IPv6:2001:db8::1]", "[192.0.2.1]"]
