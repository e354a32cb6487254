"""The control plane steers; nothing that users do waits for it."""

import imaplib
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from support.clocks import wait_until
from support.deltachat import Client
from support.deployed_fleet import ADDRESSES, run_on
from support.lab import CONTROL, MAIL, MAIL_NAME, PROGRAMS, TURN, LabFleet, OpenCore
from support.mail_clients import open_imap, trusting_context

pytestmark = [pytest.mark.lab, pytest.mark.netns]


def can_log_in(fleet: LabFleet, address: str, password: str) -> bool:
    def attempt() -> bool:
        try:
            open_imap(address, password).logout()
        except (OSError, imaplib.IMAP4.error):
            return False
        return True

    return fleet.network.call("a", attempt)


def fresh_login() -> tuple[str, str]:
    return f"new{secrets.token_hex(4)}@{MAIL_NAME}", secrets.token_hex(12)


def test_closing_registration_is_in_force_within_two_seconds(
    fleet: LabFleet, show: Callable[[str], None]
) -> None:
    known = fresh_login()
    assert can_log_in(fleet, *known)
    try:
        fleet.madfleet("registration", "close")
        closed_after = wait_until(lambda: not can_log_in(fleet, *fresh_login()), within_seconds=2)
        show(f"registration closed on the node after {closed_after:.2f} s")
        assert can_log_in(fleet, *known)
    finally:
        fleet.madfleet("registration", "open")
    wait_until(lambda: can_log_in(fleet, *fresh_login()), within_seconds=2)


def test_everything_goes_on_without_the_control_plane(
    fleet: LabFleet, device: OpenCore, pair: tuple[Client, Client], show: Callable[[str], None]
) -> None:
    alice, bob = pair
    fleet.kill("control")
    fleet.stop("control")
    try:
        check_users_go_on(fleet, alice, bob)
        fleet.stop("mail1")
        fleet.start("mail1")
        wait_until(lambda: can_log_in(fleet, *fresh_login()), within_seconds=20)
        newcomer = device().add_client()
        newcomer.configure_by_qr(fleet.register()["dclogin_url"])
        check_users_go_on(fleet, alice, bob)
    finally:
        fleet.start("control")
    wait_until(lambda: is_listening(fleet), within_seconds=20)
    back_at = time.monotonic()
    wait_until(
        lambda: all(
            fleet.node(node)["report_age_seconds"] < time.monotonic() - back_at
            for node in ("mail1", "mail2", "turn1", "turn2")
        ),
        within_seconds=10,
    )
    show(f"all nodes reported {time.monotonic() - back_at:.1f} s after the control plane was back")


def is_listening(fleet: LabFleet) -> bool:
    def knock() -> bool:
        try:
            socket.create_connection((CONTROL, 443), timeout=1).close()
        except OSError:
            return False
        return True

    return fleet.network.call("a", knock)


def check_users_go_on(fleet: LabFleet, alice: Client, bob: Client) -> None:
    """Messages arrive, accounts are made, and calls still get credentials that the TURN node takes."""
    text = f"still here {secrets.token_hex(4)}"
    bob.send(bob.chat_with(alice.address), text)
    alice.wait_for_message(text, within_seconds=120)
    assert can_log_in(fleet, *fresh_login())
    (server,) = alice.ice_servers()
    ended = fleet.network.run("a", *probe_command(server, seconds=2))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def probe_command(server: dict[str, object], *, seconds: int) -> list[str]:
    """Build the command of a short relayed call with an account's own credentials."""
    urls = server["urls"]
    assert isinstance(urls, list)
    url = next(url for url in urls if "[" not in url)  # aiortc takes no IPv6 address of a TURN node
    program = str(PROGRAMS / "turnnode")
    credentials = ["--username", str(server["username"]), "--password", str(server["credential"])]
    return [program, "probe", url, *credentials, "--seconds", str(seconds), "--json"]


def test_local_override_holds_against_the_control_plane_until_it_is_cleared(fleet: LabFleet) -> None:
    run_on("mail1", "mailnode registration close")
    try:
        assert not can_log_in(fleet, *fresh_login())
        wait_until(lambda: fleet.node("mail1")["report"]["overrides"] == ["registration_open"])
        fleet.madfleet("registration", "open")
        assert not can_log_in(fleet, *fresh_login())
    finally:
        run_on("mail1", "mailnode registration clear")
    assert can_log_in(fleet, *fresh_login())


def test_join_token_makes_a_node_of_the_fleet_once(fleet: LabFleet) -> None:
    token = fleet.madfleet("join-token", "guest", "--kind", "mail", "2>/dev/null").strip()

    def join(directory: str) -> str:
        return run_on(
            "mail1",
            "set -a; . /etc/madfleet/mailnode.env;"
            f" MAILNODE_STATE_DIRECTORY=$(mktemp -d)/{directory}"
            f" /opt/madfleet/mailnode/current/venv/bin/mailnode join {token} 2>&1 || true",
        )

    try:
        assert "This is now node guest" in join("first")
        assert fleet.node("guest")["health"] == "never seen"
        assert "Ask for a new join token" in join("second")
    finally:
        fleet.madfleet("retire", "guest")


@pytest.mark.parametrize(
    ("kind", "host", "port"),
    [
        *[("tls", MAIL, port) for port in (993, 465, 443)],
        *[("tcp", MAIL, port) for port in (143, 587, 993, 443)],
        ("udp", TURN, 3478),
        ("tls", CONTROL, 443),
    ],
)
def test_garbage_on_any_port_leaves_the_programs_running(
    fleet: LabFleet, kind: str, host: str, port: int
) -> None:
    garbage = secrets.token_bytes(1400) + b"\r\n" * 10 + b"A" * 100_000 + b"\r\n\r\n"

    def send() -> None:
        if kind == "udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(garbage[:1400], (host, port))
            return
        with suppress(OSError), socket.create_connection((host, port), timeout=10) as client:
            if kind == "tcp":
                client.sendall(garbage)
                return
            with trusting_context().wrap_socket(client) as secured:
                secured.sendall(garbage)

    before = [fleet.process(machine) for machine in ADDRESSES]
    fleet.network.call("a", send)

    assert [fleet.process(machine) for machine in ADDRESSES] == before
    assert can_log_in(fleet, *fresh_login())
