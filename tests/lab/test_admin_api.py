"""The Admin API steers the machines: how fast a change is in force on all of them, and when one was away."""

import imaplib
import json
import math
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from support.clocks import wait_until
from support.deployed_fleet import run_on
from support.lab import CONTROL_NAME, MAIL2_NAME, MAIL_NAME, LabFleet
from support.mail_clients import open_imap

pytestmark = [pytest.mark.lab, pytest.mark.netns]

ROUNDS = 20
IN_FORCE_SECONDS = 2
BACK_SECONDS = 10
POLL_SECONDS = 0.02
MAIL_HOSTS = (MAIL_NAME, MAIL2_NAME)
CONTROL_ADDRESSES = ("198.51.100.10/32", "2001:db8::10/128")


class Admin:
    """An admin with a token of his own, on a client's computer."""

    def __init__(self, fleet: LabFleet) -> None:
        made = json.loads(fleet.madfleet("admin-token", "--name", f"lab-{secrets.token_hex(3)}", "--json"))
        self._fleet = fleet
        self._headers = [
            f"Authorization: Bearer {made['token']}",
            "If-Match: *",
            "Content-Type: application/json",
        ]

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """Call the API; return its answer."""
        command = ["curl", "--silent", "--fail-with-body", "--insecure", "--request", method]
        for header in self._headers:
            command += ["--header", header]
        if body is not None:
            command += ["--data", json.dumps(body)]
        ended = self._fleet.network.run("a", *command, f"https://{CONTROL_NAME}/api/v1{path}")
        assert ended.returncode == 0, ended.stdout
        answer: dict[str, object] = json.loads(ended.stdout)
        return answer


@pytest.fixture
def admin(fleet: LabFleet) -> Iterator[Admin]:
    admin = Admin(fleet)
    before = admin.call("GET", "/policy")
    yield admin
    admin.call("PATCH", "/policy", {name: before[name] for name in ("quota_bytes", "registration_open")})


def open_account(host: str) -> imaplib.IMAP4_SSL:
    return open_imap(f"admin{secrets.token_hex(4)}@{host}", secrets.token_hex(12))


def read_quota(session: imaplib.IMAP4_SSL) -> int:
    """Read how many bytes an account may hold, as any mail program does."""
    _, (_, quotas) = session.getquotaroot("INBOX")
    (quota,) = quotas
    assert isinstance(quota, bytes)
    return int(quota.decode().rstrip(")").split()[-1]) * 1024


def takes_unknown_login(host: str) -> bool:
    try:
        open_account(host).logout()
    except imaplib.IMAP4.error:
        return False
    return True


@contextmanager
def cut_off(host: str) -> Iterator[None]:
    """Take away a machine's way to the control plane."""
    for address in CONTROL_ADDRESSES:
        run_on(host, f"ip route add blackhole {address}")
    try:
        yield
    finally:
        for address in CONTROL_ADDRESSES:
            run_on(host, f"ip route del blackhole {address}")


def percentile(figures: list[float], share: float) -> float:
    return sorted(figures)[math.ceil(share * len(figures)) - 1]


def test_quotas_and_toggles_are_in_force_on_every_node_within_two_seconds(
    fleet: LabFleet, admin: Admin, show: Callable[[str], None]
) -> None:
    def measure() -> tuple[list[float], list[float]]:
        quotas, toggles = [], []
        with ExitStack() as stack:
            sessions = [stack.enter_context(open_account(host)) for host in MAIL_HOSTS]
            for number in range(ROUNDS):
                quota_bytes = (1 << 30) + (number + 1 << 20)
                changed_at = time.monotonic()
                admin.call("PATCH", "/policy", {"quota_bytes": quota_bytes})
                for session in sessions:
                    while read_quota(session) != quota_bytes:
                        assert time.monotonic() < changed_at + 3 * IN_FORCE_SECONDS
                        time.sleep(POLL_SECONDS)
                    quotas.append(time.monotonic() - changed_at)
                is_open = number % 2 == 1
                changed_at = time.monotonic()
                admin.call("PATCH", "/policy", {"registration_open": is_open})
                for host in MAIL_HOSTS:
                    while takes_unknown_login(host) is not is_open:
                        assert time.monotonic() < changed_at + 3 * IN_FORCE_SECONDS
                    toggles.append(time.monotonic() - changed_at)
        return quotas, toggles

    quotas, toggles = fleet.network.call("a", measure)

    for name, figures in (("quota", quotas), ("registration", toggles)):
        p50, p99 = percentile(figures, 0.5), percentile(figures, 0.99)
        show(f"{name} in force on every mail node: p50 {1000 * p50:.0f} ms, p99 {1000 * p99:.0f} ms")
        assert p99 <= IN_FORCE_SECONDS


def test_node_that_was_cut_off_is_named_and_follows_when_it_is_back(
    fleet: LabFleet, admin: Admin, show: Callable[[str], None]
) -> None:
    quota_bytes = 3 << 30
    with fleet.network.call("a", lambda: open_account(MAIL2_NAME)) as session:
        with cut_off("mail2"):
            wait_until(lambda: admin.call("GET", "/policy")["missing_nodes"] == ["mail2"], within_seconds=30)
            answer = admin.call("PATCH", "/policy", {"quota_bytes": quota_bytes})
            assert answer["missing_nodes"] == ["mail2"]
            assert read_quota(session) != quota_bytes
        back_after = wait_until(lambda: read_quota(session) == quota_bytes, within_seconds=BACK_SECONDS)
        wait_until(lambda: admin.call("GET", "/policy")["missing_nodes"] == [], within_seconds=BACK_SECONDS)
    show(f"a node that was cut off follows {back_after:.1f} s after its return")
