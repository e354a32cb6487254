"""A probe's figures, and the lines between its sides."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnnode.errors import ProbeFailedError
from turnnode.probe.access import server_of
from turnnode.probe.results import CallResult, Tally, Way, percentiles
from turnnode.probe.signalling import read_message, text_of

CALLER = Tally(data_sent=100, data_received=97, audio_sent=50, audio_received=48, audio_lost=2)
CALLEE = Tally(data_sent=99, data_received=99, audio_sent=50, audio_received=50, audio_lost=0)


def result_of(caller: Tally = CALLER, callee: Tally = CALLEE) -> CallResult:
    return CallResult(
        connect_ms=12.0,
        rtt_ms=percentiles([1.0, 2.0]),
        there=Way.between(caller, callee),
        back=Way.between(callee, caller),
        local_candidate="relay",
        remote_candidate="host",
    )


def test_each_direction_compares_its_sender_with_its_receiver() -> None:
    assert Way.between(CALLER, CALLEE) == Way(data_sent=100, data_lost=1, audio_received=50, audio_lost=0)
    assert Way.between(CALLEE, CALLER) == Way(data_sent=99, data_lost=2, audio_received=48, audio_lost=2)


def test_loss_is_the_worst_of_audio_and_data_each_way() -> None:
    assert result_of().loss_percent == pytest.approx(4.0)


def test_silence_is_total_loss() -> None:
    silent = Tally(data_sent=0, data_received=0, audio_sent=0, audio_received=0, audio_lost=0)

    assert result_of(silent, silent).loss_percent == 100


def test_result_is_shown_as_text_and_as_json() -> None:
    text = result_of().as_text()

    assert "connected in 12 ms over relay to host" in text
    assert "there: data 99 of 100 packets, audio 50 of 50 packets" in text
    assert json.loads(json.dumps(result_of().as_json()))["back"]["data_lost"] == 2


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, (1, 1, 1, 1)), (100, (50, 95, 99, 100)), (20, (10, 19, 20, 20))],
)
def test_percentiles_are_values_that_were_measured(count: int, expected: tuple[int, ...]) -> None:
    assert tuple(percentiles(range(count, 0, -1)).values()) == expected


def test_there_are_no_percentiles_of_nothing() -> None:
    assert percentiles([]) == {}


@given(st.builds(Tally, **dict.fromkeys(Tally.__slots__, st.integers(0, 9999))))
def test_tally_survives_a_line(tally: Tally) -> None:
    assert Tally.from_json(json.loads(json.dumps(tally.as_json()))) == tally


@pytest.mark.parametrize(
    "change", [{"data_sent": "1"}, {"data_sent": True}, {"data_sent": None}, {"more": 1}, {"audio_lost": 1.5}]
)
def test_tally_with_anything_else_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="exactly these numbers"):
        Tally.from_json(CALLER.as_json() | change)


@given(st.binary(max_size=200))
def test_line_is_an_object_or_a_clean_error(line: bytes) -> None:
    try:
        message = read_message(line)
    except ProbeFailedError:
        return
    assert isinstance(message, dict)


def test_line_with_endless_nesting_is_refused() -> None:
    with pytest.raises(ProbeFailedError):
        read_message(b"[" * 100_000)


@pytest.mark.parametrize(
    "message", [{}, {"type": "bye", "sdp": "x"}, {"type": "offer"}, {"type": "offer", "sdp": 1}]
)
def test_message_of_another_kind_is_refused(message: dict[str, object]) -> None:
    with pytest.raises(ProbeFailedError, match="Swap the roles"):
        text_of(message, "offer", "sdp")


@pytest.mark.parametrize(
    ("url", "server"),
    [("turn:192.0.2.1:3478", ("192.0.2.1", 3478)), ("turn:turn.example.org", ("turn.example.org", 3478))],
)
def test_turn_address_is_understood(url: str, server: tuple[str, int]) -> None:
    assert server_of(url) == server


@pytest.mark.parametrize(
    "url", ["", "turn:", "stun:192.0.2.1", "turns:192.0.2.1", "turn:192.0.2.1?transport=tcp", "x"]
)
def test_what_is_no_turn_address_over_udp_is_refused(url: str) -> None:
    with pytest.raises(ProbeFailedError, match="Write turn:HOST:PORT"):
        server_of(url)
