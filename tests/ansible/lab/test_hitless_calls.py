"""Calls through a deployed TURN node while operators and accidents do to it what they do.

Each case prints the longest gap between two packets of any direction, and how many were lost.
"""

import base64
import json
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.deployed_fleet import ADDRESSES, ROOT, PlaybookError, deploy, run_on
from support.media_streams import Figures, MediaStreams
from wheels import Members, write_archive

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("first_run")]

PORT = 3478
CONTROLLER = "198.51.100.1"
UPGRADE_GAP_SECONDS = 0.2
NEW_PROCESS_GAP_SECONDS = 2
BUNDLE = ROOT / "dist/bundles/turnnode-x86_64.tar.gz"
SHOW = "systemctl show turnnode --value --property="
UPGRADE = ("--limit", "turn1", "--tags", "upgrade")


@pytest.fixture(scope="module")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another release: the same wheels, and one file more."""
    members: Members = {}
    with tarfile.open(BUNDLE) as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            assert file is not None
            members[entry.name] = (file.read(), entry.mode)
    bundle = tmp_path_factory.mktemp("bundles") / "turnnode.tar.gz"
    write_archive(bundle, {**members, "another": (b"release", 0o644)})
    return bundle


@pytest.fixture(scope="module")
def streams(first_run: dict[str, int]) -> Iterator[MediaStreams]:
    assert first_run
    with MediaStreams((ADDRESSES["turn1"], PORT), read_secret(), CONTROLLER) as streams:
        yield streams


def read_secret() -> str:
    """Read the fleet's TURN secret from the node's desired state: mail nodes know it, too."""
    kept = json.loads(run_on("turn1", "cat /var/lib/turnnode/node/desired-state.json"))
    payload = kept["document"].split(".")[1]
    state = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return str(state["state"]["secrets"][0])


def read_release() -> str:
    """Read which release the process that runs is of."""
    main = run_on("turn1", SHOW + "MainPID")
    return run_on("turn1", f"cut -d / -f 6 /proc/{main}/cmdline")


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
    assert figures.longest_gap_seconds <= NEW_PROCESS_GAP_SECONDS
    assert figures.lost <= 1  # what was in the hands of a process that is killed


def test_calls_do_not_notice_an_upgrade_nor_the_way_back(
    streams: MediaStreams, other_bundle: Path, show: Callable[[str], None]
) -> None:
    old, restarts = read_release(), run_on("turn1", SHOW + "NRestarts")
    there = observe(streams, lambda: deploy(*UPGRADE, "-e", f"turnnode_bundle={other_bundle}"))
    new = read_release()
    back = observe(streams, lambda: deploy(*UPGRADE, "-e", f"turnnode_release={old}"))

    show(f"upgrade: {there}")
    show(f"rollback: {back}")
    assert new != old
    assert read_release() == old
    assert run_on("turn1", SHOW + "NRestarts") == restarts
    for figures in (there, back):
        assert figures.longest_gap_seconds <= UPGRADE_GAP_SECONDS
        assert figures.lost == 0


def test_calls_do_not_notice_changed_settings(streams: MediaStreams, show: Callable[[str], None]) -> None:
    before = run_on("turn1", SHOW + "MainPID")
    there = observe(streams, lambda: deploy(*UPGRADE, "-e", "turnnode_log_level=warning"))
    back = observe(streams, lambda: deploy(*UPGRADE))

    show(f"changed settings: {there}")
    assert run_on("turn1", SHOW + "MainPID") != before
    assert run_on("turn1", SHOW + "ActiveState,SubState") == "active\nrunning"
    for figures in (there, back):
        assert figures.longest_gap_seconds <= UPGRADE_GAP_SECONDS
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
        assert measured.longest_gap_seconds <= UPGRADE_GAP_SECONDS
        assert measured.lost == 0
