"""A daemon as its service manager and its operator meet it: as a process."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nodelink.daemon.listeners import ListenError, listen_tcp
from nodelink.daemon.service_manager import Systemd
from support import daemon_program
from support.clocks import wait_until

SOON_SECONDS = 10
PROGRAM = [sys.executable, daemon_program.__file__]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def running(tmp_path: Path, **extra: str) -> Iterator[tuple["subprocess.Popen[bytes]", socket.socket, int]]:
    port = free_port()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = tmp_path / "notify"
        manager.bind(str(address))
        manager.settimeout(SOON_SECONDS)
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(address),
            "ECHO_STATE_DIRECTORY": str(tmp_path),
            "ECHO_PORT": str(port),
            **extra,
        }
        with subprocess.Popen(PROGRAM, env=environment, stdout=subprocess.DEVNULL) as process:
            try:
                yield process, manager, port
            finally:
                process.kill()


def receive_socket(manager: socket.socket) -> tuple[bytes, socket.socket]:
    message, ancillary, _, _ = manager.recvmsg(1000, socket.CMSG_SPACE(4))
    return message, socket.socket(fileno=int.from_bytes(ancillary[0][2][:4], sys.byteorder))


def ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=SOON_SECONDS) as client:
        client.sendall(b"hello\n")
        return client.recv(100)


def test_daemon_is_ready_serves_and_ends_orderly(tmp_path: Path) -> None:
    with running(tmp_path) as (process, manager, port):
        message, kept = receive_socket(manager)
        assert message == f"FDSTORE=1\nFDPOLL=0\nFDNAME=echo-{port}".encode()
        assert manager.recv(100) == b"READY=1"
        assert ask(port) == b"hello\n"

        process.send_signal(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
        assert process.wait(SOON_SECONDS) == 0
        kept.close()


def test_daemon_tells_its_watchdog_that_it_is_alive(tmp_path: Path) -> None:
    with running(tmp_path, WATCHDOG_USEC="150000") as (_, manager, _):
        receive_socket(manager)[1].close()
        assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_reload_is_passed_on(tmp_path: Path) -> None:
    with running(tmp_path) as (process, manager, _):
        receive_socket(manager)[1].close()
        manager.recv(100)
        process.send_signal(signal.SIGHUP)
        wait_until((tmp_path / "reloaded").exists)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("ECHO_PORT", "70000"), ("ECHO_PORT", "many"), ("ECHO_PROT", "7"), ("ECHO_LOG_LEVEL", "loud")],
)
def test_wrong_setting_ends_with_code_2_and_one_sentence_that_names_it(
    tmp_path: Path, setting: str, value: str
) -> None:
    environment = {**os.environ, "ECHO_STATE_DIRECTORY": str(tmp_path), setting: value}
    ended = subprocess.run(PROGRAM, env=environment, capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert ended.stderr.startswith(setting)
    assert ended.stderr.count("\n") == 1


def test_port_that_is_taken_ends_with_code_2_and_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = {**os.environ, "ECHO_STATE_DIRECTORY": str(tmp_path), "ECHO_PORT": str(port)}
        ended = subprocess.run(PROGRAM, env=environment, capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert f"Cannot listen on 127.0.0.1 port {port}" in ended.stderr


def test_listening_socket_of_a_former_process_is_taken_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as kept:
        port = kept.getsockname()[1]
        inherited = {f"imap-{port}": [socket.socket(fileno=os.dup(kept.fileno()))]}
        manager = Systemd(address="", watchdog_seconds=None, inherited=inherited)
        (taken_over,) = listen_tcp(manager, "imap", ["127.0.0.1"], port)
        with taken_over:
            assert taken_over.getsockname() == kept.getsockname()
        with pytest.raises(ListenError):
            listen_tcp(manager, "imap", ["127.0.0.1"], port)
