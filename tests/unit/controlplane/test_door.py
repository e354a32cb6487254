"""Who may open a channel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import NotSignedInError
from controlplane.nodes.door import MAX_LIVE_IDS_PER_NODE, Door
from nodelink.contract.assertions import CLOCK_SKEW_SECONDS, VALID_FOR_SECONDS, make_assertion
from nodelink.contract.keys import PrivateKey
from support.controlplane_site import NOW, PUBLIC_URL, Clock

KEY = PrivateKey.generate()
OTHER = PrivateKey.generate()


def make(key: PrivateKey = KEY, audience: str = PUBLIC_URL, now: int = NOW) -> str:
    return make_assertion(key, node="mail1", audience=audience, now_seconds=now)


def test_assertion_admits_once() -> None:
    door, assertion = Door(PUBLIC_URL, Clock()), make()
    door.admit(assertion, KEY.public.x)

    with pytest.raises(NotSignedInError) as refusal:
        door.admit(assertion, KEY.public.x)
    assert "used before" in str(refusal.value.private["problem"])


def test_assertion_cannot_be_replayed_at_the_last_moment_of_its_life() -> None:
    clock = Clock()
    door, assertion = Door(PUBLIC_URL, clock), make()
    door.admit(assertion, KEY.public.x)

    clock.now += VALID_FOR_SECONDS + CLOCK_SKEW_SECONDS - 1
    with pytest.raises(NotSignedInError):
        door.admit(assertion, KEY.public.x)
    clock.now += 1
    with pytest.raises(NotSignedInError, match="valid token"):
        door.admit(assertion, KEY.public.x)


@pytest.mark.parametrize(
    "assertion",
    [
        make(OTHER),
        make(audience="https://other.example.org"),
        make(now=NOW - 200),
        make(now=NOW + 200),
        "a.b.c",
    ],
)
def test_assertion_of_another_key_audience_or_time_is_refused(assertion: str) -> None:
    with pytest.raises(NotSignedInError):
        Door(PUBLIC_URL, Clock()).admit(assertion, KEY.public.x)


def test_node_that_connects_all_the_time_fills_no_memory() -> None:
    clock = Clock()
    door = Door(PUBLIC_URL, clock)
    for _ in range(MAX_LIVE_IDS_PER_NODE):
        door.admit(make(), KEY.public.x)
    with pytest.raises(NotSignedInError) as refusal:
        door.admit(make(), KEY.public.x)
    assert "too often" in str(refusal.value.private["problem"])

    clock.now += VALID_FOR_SECONDS + CLOCK_SKEW_SECONDS
    door.admit(make(now=int(clock.now)), KEY.public.x)


def test_claim_is_read_from_the_header() -> None:
    assertion = make()

    assert Door(PUBLIC_URL).read_claim(f"Bearer {assertion}") == (assertion, "mail1")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer a.b.c", f"Basic {make()}"]
)
def test_header_without_an_assertion_is_refused(header: str) -> None:
    with pytest.raises(NotSignedInError):
        Door(PUBLIC_URL).read_claim(header)


@given(st.text(max_size=200))
def test_any_header_is_read_or_refused(text: str) -> None:
    with pytest.raises(NotSignedInError):
        Door(PUBLIC_URL).read_claim(f"Bearer {text}")
