"""A TURN node dies during a call of browsers that know two: when media flows again, and what that took."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from lab_network import NAMESPACE
from support.browser_calls import ANSWERED, DESCRIBE, PATIENCE_SECONDS, PREPARE, READ, open_browsers
from support.deltachat import Client
from support.deployed_fleet import ADDRESSES
from support.lab import LabFleet

pytestmark = [pytest.mark.lab, pytest.mark.netns]

SELECTED = """async () => {
  const all = new Map([...(await window.call.getStats()).values()].map(one => [one.id, one]));
  for (const one of all.values())
    if (one.type === 'transport' && one.selectedCandidatePairId) {
      const pair = all.get(one.selectedCandidatePairId);
      return [all.get(pair.localCandidateId).address, all.get(pair.remoteCandidateId).address];
    }
  return [];
}"""
NEW_OFFER = "() => window.call.restartIce()"
UNAIDED_SECONDS = 25
AIDED_SECONDS = 40
TURN_HOSTS = {ADDRESSES[name]: name for name in ("turn1", "turn2")}


@contextmanager
def cut_off(host: str) -> Iterator[None]:
    """Pull a machine's cable: nothing of it answers, not even its kernel."""
    command = ["ip", "-n", NAMESPACE, "link", "set", f"vb-{host}"]
    subprocess.run([*command, "down"], check=True)
    try:
        yield
    finally:
        subprocess.run([*command, "up"], check=True)


def connect(pages: list[Page], servers: list[list[dict[str, Any]]]) -> None:
    """Set up a call whose descriptions hold the relays of both nodes."""
    for page, each in zip(pages, servers, strict=True):
        page.evaluate(PREPARE, [each, page is pages[0]])
    describe(pages)
    for page in pages:
        page.wait_for_function("window.call.connectionState === 'connected'", timeout=40_000)


def describe(pages: list[Page]) -> None:
    """Exchange an offer and its answer."""
    offer = pages[0].evaluate(DESCRIBE, [None, PATIENCE_SECONDS])
    pages[0].evaluate(ANSWERED, pages[1].evaluate(DESCRIBE, [offer, PATIENCE_SECONDS]))


def wait_for_media(pages: list[Page], seconds: float) -> float | None:
    """Wait until both get packets again; return the seconds it took."""
    began_at = time.monotonic()
    before = [page.evaluate(READ)["packets"] for page in pages]
    while time.monotonic() < began_at + seconds:
        pages[0].wait_for_timeout(200)
        after = [page.evaluate(READ)["packets"] for page in pages]
        if all(now > then + 20 for then, now in zip(before, after, strict=True)):
            return time.monotonic() - began_at
    return None


def test_call_goes_on_after_its_turn_node_has_died(
    fleet: LabFleet, pair: tuple[Client, Client], tmp_path: Path, show: Callable[[str], None]
) -> None:
    servers = [client.ice_servers() for client in pair]
    with open_browsers(fleet.network, tmp_path) as pages:
        connect(pages, servers)
        pages[0].wait_for_timeout(2000)
        used = [TURN_HOSTS[address] for address in pages[0].evaluate(SELECTED) if address in TURN_HOSTS]
        with cut_off(used[0]):
            pages[0].wait_for_timeout(300)  # what was on its way has arrived
            took, is_new_offer_needed = wait_for_media(pages, UNAIDED_SECONDS), False
            if took is None:
                is_new_offer_needed = True
                pages[0].evaluate(NEW_OFFER)
                describe(pages)
                more = wait_for_media(pages, AIDED_SECONDS)
                assert more is not None
                took = UNAIDED_SECONDS + more
            now = pages[0].evaluate(SELECTED)
        for page in pages:
            page.evaluate("window.call.close()")
    fleet.wait_until_ready()
    offer = "a new offer was needed" if is_new_offer_needed else "no new offer was needed"
    show(f"{used[0]} died during a call: media after {took:.1f} s, {offer}; relays then {now}")

    assert ADDRESSES[used[0]] not in now
