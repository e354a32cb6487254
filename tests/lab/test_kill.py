"""A mail node that is killed at any moment loses nothing that it acknowledged, and doubles nothing."""

import os
import random
import secrets
import smtplib
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.clocks import wait_until
from support.lab import LabFleet
from support.mail_clients import count_message_ids, open_imap, open_smtp
from support.openpgp_messages import armored, encrypted_mail, real_packets

pytestmark = [pytest.mark.lab, pytest.mark.netns]

SENDERS = 16
ROUNDS = int(os.environ.get("KILL_ROUNDS", "10"))

ARMOR = armored(real_packets(5000))

Account = dict[str, str]


def send_until_killed(sender: Account, receiver: Account, acknowledged: list[str]) -> None:
    """Send at full rate; a message whose answer did not come is not sent again."""
    try:
        with open_smtp(sender["email"], sender["password"]) as client:
            while True:
                message_id = f"{secrets.token_hex(12)}@example.org"
                message = bytes(encrypted_mail(ARMOR, sender["email"], message_id))
                client.sendmail(sender["email"], [receiver["email"]], message)
                acknowledged.append(f"<{message_id}>")
    except (OSError, smtplib.SMTPException):
        return


def is_serving(fleet: LabFleet, account: Account) -> bool:
    def attempt() -> bool:
        try:
            open_imap(account["email"], account["password"]).logout()
        except OSError:
            return False
        return True

    return fleet.network.call("a", attempt)


def run_round(fleet: LabFleet, pairs: list[tuple[Account, Account]]) -> list[str]:
    """Let all send, kill the node at a random moment, and start it again; return what was acknowledged."""
    acknowledged: list[str] = []

    def send(pair: tuple[Account, Account]) -> None:
        fleet.network.call("a", lambda: send_until_killed(*pair, acknowledged))

    with ThreadPoolExecutor(SENDERS) as executor:
        sending = executor.map(send, pairs)
        wait_until(lambda: len(acknowledged) > SENDERS, within_seconds=20)
        time.sleep(random.uniform(0, 0.7))
        fleet.kill("mail1")
        list(sending)
    wait_until(lambda: is_serving(fleet, pairs[0][1]), within_seconds=20)
    return acknowledged


def count_received(fleet: LabFleet, receiver: Account) -> Counter[str]:
    return fleet.network.call("a", lambda: count_message_ids(receiver["email"], receiver["password"]))


def test_each_acknowledged_message_is_found_exactly_once_after_each_kill(
    fleet: LabFleet, show: Callable[[str], None]
) -> None:
    pairs = [(fleet.register(), fleet.register()) for _ in range(SENDERS)]
    acknowledged: list[str] = []
    for _ in range(ROUNDS):
        acknowledged += run_round(fleet, pairs)

        found: Counter[str] = Counter()
        for _, receiver in pairs:
            found += count_received(fleet, receiver)
        assert [message_id for message_id in acknowledged if found[message_id] != 1] == []
        assert set(found.values()) == {1}
    show(f"{ROUNDS} kills, {len(acknowledged)} messages acknowledged, 0 lost, 0 doubled")
