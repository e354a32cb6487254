"""What was not delivered stays until its author can be told: on a full disk, and by a full mailbox."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mailnode.dkim.signing import write_signatures
from mailnode.federation import retry
from mailnode.peering.errors import LaterError
from mailnode.peering.reception import Arrival
from nodelink.contract.federation import PeerTransport
from support.clocks import until
from support.dkim_mails import keys, now
from support.openpgp_messages import ALICE, encrypted_mail
from support.peering_site import open_world
from support.store_without_reports import ReportlessStore

pytestmark = pytest.mark.anyio

TESTS = Path(__file__).parents[2]
HOME, FAR = "home.example", "far.example"
AUTHOR, BOB, NOBODY = f"alice@{HOME}", f"bob@{HOME}", f"nobody@{HOME}"
EVE = f"eve@{FAR}"


def mail_of(sender: str) -> bytes:
    return bytes(encrypted_mail()).replace(ALICE.encode(), sender.encode())


def signed_mail() -> bytes:
    message = mail_of(EVE)
    return write_signatures(message, FAR, keys(), now()) + message


def test_queued_mail_stays_on_a_full_disk_until_its_report_is_written(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "support.queue_full_disk", str(tmp_path / "store")]

    done = subprocess.run(command, cwd=TESTS, capture_output=True, check=True, timeout=20)

    seen = json.loads(done.stdout.decode().splitlines()[-1])
    assert seen == {"waiting_on_full_disk": 1, "waiting_after": 0, "reports": 1}


async def test_refused_mail_stays_queued_until_its_report_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.05)
    store = ReportlessStore()
    async with open_world(tmp_path, [HOME]) as world:
        far = await world.add_far_side(FAR, smtp=False)
        far.http_answers = [(403, b"no")] * 100
        home = await world.add_station(HOME, store=store)

        await home.submit("alice", mail_of(AUTHOR), EVE)
        await until(lambda: store.reports_refused >= 3)
        assert (await store.read_outgoing_usage()).message_count == 1
        store.takes_reports = True

        (report,) = await home.wait_for("alice")
        assert b"403 no" in report
        await home.wait_until_empty()


async def test_full_mailbox_of_the_author_takes_the_report(tmp_path: Path) -> None:
    async with open_world(tmp_path, [HOME]) as world:
        far = await world.add_far_side(FAR, smtp=False)
        far.http_answers = [(403, b"no")]
        home = await world.add_station(HOME)
        await home.account("alice")
        await home.accounts.change_quota(AUTHOR, 1)

        await home.submit("alice", mail_of(AUTHOR), EVE)

        (report,) = await home.wait_for("alice")
        assert b"403 no" in report


@pytest.mark.parametrize("trouble", ["full disk", "full queue"])
async def test_server_sends_again_what_could_not_be_reported_to_its_author(
    tmp_path: Path, trouble: str
) -> None:
    store = ReportlessStore()
    arrival = Arrival("192.0.2.1", PeerTransport.HTTPS, EVE, (BOB, NOBODY))
    mail = signed_mail()
    async with open_world(tmp_path, [HOME]) as world:
        world.names.publish(FAR, keys())
        far = await world.add_far_side(FAR)
        home = await world.add_station(HOME, store=store)
        await home.account("bob")
        store.takes_reports = trouble == "full queue"
        home.outbound.max_queued_bytes = 0 if trouble == "full queue" else 1 << 20

        with pytest.raises(LaterError):
            await home.reception.take(arrival, mail)
        store.takes_reports, home.outbound.max_queued_bytes = True, 1 << 20
        assert await home.reception.take(arrival, mail) == {NOBODY: "No such user here"}

        await until(lambda: len(far.uploads) == 1)
        assert NOBODY.encode() in far.uploads[0].message
        await home.wait_for("bob")
        assert home.traffic.read_figures()["peer_received"] == 1
