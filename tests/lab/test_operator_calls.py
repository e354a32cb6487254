"""Calls through a deployed TURN node while operators and accidents do to it what they do.

Each case prints the longest gap between two packets of any direction, and how many were lost.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from support.deployed_fleet import PlaybookError, deploy, run_on
from support.lab import LabFleet
from support.lab_load import open_calls
from support.media_streams import Figures, MediaStreams

pytestmark = pytest.mark.lab

GAP_SECONDS = 2
SHOW = "systemctl show turnnode --value --property="
UPGRADE = ("--limit", "turn1", "--tags", "upgrade")


@pytest.fixture(scope="module")
def streams(fleet: LabFleet) -> Iterator[MediaStreams]:
    fleet.wait_until_ready()
    with open_calls() as streams:
        yield streams


def observe(streams: MediaStreams, act: Callable[[], object]) -> Figures:
    """Measure the calls while something is done, and a second longer; none of them may have ended."""
    with streams.measure() as figures:
        act()
        time.sleep(1)
    assert streams.refresh() == [200] * 4
    assert figures.refused == 0
    assert figures.newcomers > 0
    return figures


@pytest.mark.parametrize(
    "command", ["systemctl restart turnnode", "systemctl kill --signal=KILL turnnode; sleep 3"]
)
def test_calls_go_on_after_a_new_start(
    streams: MediaStreams, command: str, show: Callable[[str], None]
) -> None:
    figures = observe(streams, lambda: run_on("turn1", command))

    show(f"{command}: {figures}")
    assert figures.longest_gap_seconds <= GAP_SECONDS
    assert figures.lost <= 1  # what was in the hands of a process that is killed


def test_calls_do_not_notice_changed_settings(streams: MediaStreams, show: Callable[[str], None]) -> None:
    before = run_on("turn1", SHOW + "MainPID")
    there = observe(streams, lambda: deploy(*UPGRADE, "-e", "turnnode_log_level=warning"))
    back = observe(streams, lambda: deploy(*UPGRADE))

    show(f"changed settings: {there}")
    assert run_on("turn1", SHOW + "MainPID") != before
    assert run_on("turn1", SHOW + "ActiveState,SubState") == "active\nrunning"
    for figures in (there, back):
        assert figures.longest_gap_seconds <= GAP_SECONDS
        assert figures.lost == 0


def test_upgrade_that_cannot_serve_fails_in_a_sentence_and_calls_go_on(
    streams: MediaStreams, show: Callable[[str], None]
) -> None:
    before = run_on("turn1", SHOW + "MainPID")

    def fail() -> None:
        with pytest.raises(PlaybookError, match="did not take the place of the old one"):
            deploy(*UPGRADE, "-e", "turnnode_metrics_port=22")  # a port that only root may open

    figures = observe(streams, fail)
    assert run_on("turn1", SHOW + "MainPID") == before
    assert "Cannot listen on 127.0.0.1 port 22" in run_on("turn1", "journalctl --unit turnnode --since -5min")
    # The files are as they should be, and the process is not: the next run must not take that for success.
    with pytest.raises(PlaybookError, match="did not take the place of the old one"):
        deploy(*UPGRADE, "-e", "turnnode_metrics_port=22")
    mended = observe(streams, lambda: deploy(*UPGRADE))

    show(f"upgrade that fails: {figures}")
    assert deploy(*UPGRADE) == {"turn1": 0}
    for measured in (figures, mended):
        assert measured.longest_gap_seconds <= GAP_SECONDS
        assert measured.lost == 0
