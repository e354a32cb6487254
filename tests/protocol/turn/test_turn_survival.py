"""Calls go on while the process that relays them ends, is killed, or makes way for another one."""

import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import turn_program
from support.clocks import wait_until
from support.media_streams import Figures, MediaStreams
from support.service_manager import FakeSystemd

HERE = "127.0.0.1"
PROGRAM = (sys.executable, turn_program.__file__)
SERVE = (*PROGRAM, "serve")
TAKE_OVER = (*PROGRAM, "take-over")
NEW_PROCESS_SECONDS = 8  # the machine that runs this may be busy; test_hitless_calls has the real bounds
HANDOVER_SECONDS = 2


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((HERE, 0))
        return int(one.getsockname()[1])


class Site:
    """A TURN node under a service manager, with calls that run."""

    def __init__(self, manager: FakeSystemd, streams: MediaStreams) -> None:
        self.manager = manager
        self.streams = streams

    def observe(self, *steps: Callable[[], object]) -> Figures:
        with self.streams.measure() as figures:
            for step in steps:
                step()
        return figures

    def take_over(self, **changed: str) -> None:
        before = self.manager.main
        self.manager.messages.clear()
        assert self.manager.reload(*TAKE_OVER, **changed) == 0, self.manager.read_log()
        assert self.manager.main not in {before, 0}
        self.manager.wait_for("READY=1")

    def restart(self, number: signal.Signals) -> None:
        self.manager.kill(number)
        self.manager.start(*SERVE)


@contextmanager
def opened(tmp_path: Path, **changed: str) -> Iterator[Site]:
    port = free_port()
    environment = {
        "TURNNODE_STATE_DIRECTORY": str(tmp_path / "state"),
        "TURNNODE_LISTEN_ADDRESSES": HERE,
        "TURNNODE_PUBLIC_NAME": HERE,
        "TURNNODE_PORT": str(port),
        **changed,
    }
    with FakeSystemd(tmp_path, environment=environment, watchdog=True) as manager:
        manager.start(*SERVE)
        with MediaStreams((HERE, port), turn_program.SECRET, HERE) as streams:
            yield Site(manager, streams)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened(tmp_path) as site:
        yield site


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_calls_go_on_after_a_new_start(site: Site, number: signal.Signals) -> None:
    figures = site.observe(lambda: site.restart(number))

    assert site.streams.refresh() == [200] * 4
    assert figures.longest_gap_seconds < NEW_PROCESS_SECONDS
    assert figures.lost <= 1  # what was in the hands of a process that is killed
    assert figures.refused == 0


def test_calls_do_not_notice_that_another_process_takes_over_again_and_again(site: Site) -> None:
    figures = site.observe(site.take_over, site.take_over)

    assert site.streams.refresh() == [200] * 4
    assert figures.longest_gap_seconds < HANDOVER_SECONDS
    assert (figures.lost, figures.refused) == (0, 0)
    assert figures.newcomers > 0
    site.manager.wait_for("WATCHDOG=1")
    kept = sum(name.startswith("r") for name in site.manager.store)
    assert 4 <= kept <= 5 + figures.newcomers  # with those that newcomers have left, which rest


def test_calls_survive_a_kill_of_the_process_that_has_taken_over(site: Site) -> None:
    site.take_over()
    site.restart(signal.SIGKILL)

    assert site.streams.refresh() == [200] * 4


@pytest.mark.parametrize(
    "changed", [{"TURNNODE_PORT": "many"}, {"TURNNODE_LISTEN_ADDRESSES": "127.0.0.1,192.0.2.1"}]
)
def test_process_that_cannot_serve_leaves_the_work_to_the_old_one(
    site: Site, changed: dict[str, str]
) -> None:
    before = site.manager.main
    codes: list[int] = []
    figures = site.observe(lambda: codes.append(site.manager.reload(*TAKE_OVER, **changed)))

    assert codes == [1]
    assert site.manager.main == before
    assert site.streams.refresh() == [200] * 4
    assert figures.longest_gap_seconds < HANDOVER_SECONDS
    assert (figures.lost, figures.refused) == (0, 0)


def test_setting_that_changes_holds_for_the_process_that_takes_over(site: Site) -> None:
    metrics_port = free_port()
    assert is_closed(metrics_port)
    site.take_over(TURNNODE_METRICS_PORT=str(metrics_port))

    with socket.create_connection((HERE, metrics_port)) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.0 200")
    # And back: the port that nobody serves any more is closed, in the store, too.
    site.take_over()
    assert not [name for name in site.manager.store if name.startswith("metrics")]
    wait_until(lambda: is_closed(metrics_port))


def is_closed(port: int) -> bool:
    try:
        socket.create_connection((HERE, port)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_calls_whose_ports_are_no_longer_set_end_and_their_sockets_with_them(site: Site) -> None:
    wait_until(lambda: sum(name.startswith("r") for name in list(site.manager.store)) >= 4)
    site.take_over(TURNNODE_RELAY_PORT_MIN="20000", TURNNODE_RELAY_PORT_MAX="20999")

    assert site.streams.refresh() == [437] * 4


def test_nobody_takes_over_where_nobody_serves(tmp_path: Path) -> None:
    with FakeSystemd(tmp_path, environment={}) as manager:
        assert manager.reload(*TAKE_OVER) == 1
