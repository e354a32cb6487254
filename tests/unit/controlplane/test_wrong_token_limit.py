"""How wrong tokens are counted."""

from hypothesis import given
from hypothesis import strategies as st

from controlplane.rate_limit import RateLimit
from support.controlplane_site import Clock


def make_limit(clock: Clock, max_keys: int = 100) -> RateLimit:
    return RateLimit(events=6, period_seconds=60, burst=3, max_keys=max_keys, clock=clock)


def test_burst_is_admitted_and_no_more() -> None:
    limit = make_limit(Clock())

    assert [limit.admit("a") for _ in range(5)] == [True, True, True, False, False]


def test_event_is_earned_back_after_its_interval() -> None:
    clock = Clock()
    limit = make_limit(clock)
    for _ in range(3):
        limit.admit("a")

    clock.now += 9.9
    assert not limit.admit("a")
    clock.now += 0.2
    assert limit.admit("a")
    assert not limit.admit("a")


def test_keys_do_not_share_a_limit() -> None:
    limit = make_limit(Clock())
    for _ in range(4):
        limit.admit("a")

    assert limit.admit("b")


def test_memory_is_bounded_and_rested_keys_make_room() -> None:
    clock = Clock()
    limit = make_limit(clock, max_keys=2)
    assert [limit.admit(key) for key in ("a", "b", "c", "c", "c", "c")] == [True] * 6

    clock.now += 60
    assert [limit.admit("c") for _ in range(4)] == [True, True, True, False]


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from("ab")), max_size=60))
def test_no_key_exceeds_burst_and_rate(attempts: list[tuple[float, str]]) -> None:
    clock = Clock(0)
    limit = make_limit(clock)
    admitted: dict[str, list[float]] = {"a": [], "b": []}
    for pause_seconds, key in attempts:
        clock.now += pause_seconds
        if limit.admit(key):
            admitted[key].append(clock.now)

    for times in admitted.values():
        for count in range(4, len(times) + 1):
            assert times[count - 1] - times[count - 4] >= 9.999
