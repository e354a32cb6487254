"""Mail to servers of others: what they get, by which way, and what the sender hears."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from mailnode.encryption.gate import check_incoming
from mailnode.peering.policy import NOT_ALLOWED, PeerPolicy
from mailnode.peering.sts_memory import StsMemory
from mailnode.smtp.syntax import CommandError
from mailnode.store.mail_store import Envelope
from mailnode.store.sqlite_store import SqliteMailStore
from nodelink.contract.federation import FederationMode, PeerTransport
from nodelink.daemon.tls import ServerCertificate
from support.clocks import until
from support.dkim_mails import ask_oracle, keys
from support.openpgp_messages import ALICE, encrypted_mail
from support.peering_site import FarSide, PeerStation, PeerWorld, next_address, open_world

pytestmark = pytest.mark.anyio

HOME = "home.example"
FROM = f"alice@{HOME}"
MESSAGE = bytes(encrypted_mail()).replace(ALICE.encode(), FROM.encode())
BOB, CAROL = "bob@far.example", "carol@far.example"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[PeerWorld]:
    async with open_world(tmp_path, [HOME]) as world:
        world.names.say("far.example", "MX", "10 mx.far.example.")
        yield world


async def expect_report(home: PeerStation, *words: str) -> None:
    (report,) = await home.wait_for("alice")
    check_incoming(report)
    assert report.startswith(f"From: <mailer-daemon@{HOME}>".encode())
    for word in words:
        assert word in report.decode(), report.decode()


async def wait_for(taken: list[object], number: int = 1) -> None:
    async with asyncio.timeout(17):
        while len(taken) < number:  # noqa: ASYNC110 - the far side counts
            await asyncio.sleep(0.02)


async def add_mute_side(world: PeerWorld, host: str, drop: bytes = b"") -> None:
    """Add a server that never finishes an answer; it says something again and again, or nothing at all."""
    address = next_address()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: " if drop else b"")
            while True:
                writer.write(drop)
                await writer.drain()
                await asyncio.sleep(0.05)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    tls = ServerCertificate(*world.certify(host)).build_context()
    server = await asyncio.start_server(hold, address, world.ports.https, ssl=tls)
    world.stack.callback(server.close)
    world.names.say(host, "A", address)


async def test_one_upload_goes_to_the_host_of_the_mx_for_all_recipients(world: PeerWorld) -> None:
    far = await world.add_far_side("mx.far.example")
    home = await world.add_station(HOME)

    assert await home.submit("alice", MESSAGE, BOB, CAROL) == 250

    await home.wait_until_empty()
    (taken,) = far.uploads
    assert (taken.mail_from, taken.recipients) == (FROM, [BOB, CAROL])
    assert ("host", f"mx.far.example:{world.ports.https}") in taken.headers
    assert taken.message.endswith(MESSAGE)
    assert far.letters == []


async def test_what_leaves_is_signed_with_both_keys_and_what_stays_is_not(world: PeerWorld) -> None:
    far = await world.add_far_side("mx.far.example")
    home = await world.add_station(HOME)
    await home.account("dave")

    await home.submit("alice", MESSAGE, BOB, f"dave@{HOME}")

    await home.wait_until_empty()
    signed = far.uploads[0].message
    assert signed.count(b"DKIM-Signature:") == 2
    assert b"d=home.example;" in signed
    for key in keys():
        text = (
            "".join(world.names.records[f"{key.selector}._domainkey.{HOME}", "TXT"])
            .replace('" "', "")
            .strip('"')
        )
        record = {f"{key.selector}._domainkey.{HOME}": text.encode()}
        assert ask_oracle(signed, record, HOME)
    assert await home.inbox("dave") == [MESSAGE]


async def test_smtp_takes_over_where_https_is_no_way_and_keeps_its_connection(world: PeerWorld) -> None:
    far = await world.add_far_side("mx.far.example")
    far.http_answers = [(404, b"not found")]
    home = await world.add_station(HOME)

    for _ in range(3):
        await home.submit("alice", MESSAGE, BOB, CAROL)
        await home.wait_until_empty()

    assert [(letter.mail_from, letter.recipients) for letter in far.letters] == [(FROM, [BOB, CAROL])] * 3
    assert far.letters[0].message.endswith(MESSAGE)
    assert (far.connections, far.requests) == (1, 1)
    (row,) = home.traffic.list_peers(10).peers
    assert (row.delivered_smtp, row.failed_https, row.queued) == (3, 1, 0)


async def test_https_is_a_way_though_mail_went_by_smtp_lately(world: PeerWorld) -> None:
    far = await world.add_far_side("mx.far.example", smtp=False)
    far.http_answers = [(404, b"not found")]
    home = await world.add_station(HOME)
    async with AsyncExitStack() as listening:
        await far.open_smtp(listening)
        await home.submit("alice", MESSAGE, BOB)
        await home.wait_until_empty()
    await home.courier.smtp.close()

    await home.submit("alice", MESSAGE, BOB)

    await home.wait_until_empty()
    assert (len(far.letters), len(far.uploads), far.requests) == (1, 1, 2)


@pytest.mark.parametrize(
    ("https", "smtp", "way"),
    [(True, False, "uploads"), (False, True, "letters")],
)
async def test_one_open_way_is_enough(world: PeerWorld, https: bool, smtp: bool, way: str) -> None:
    far = await world.add_far_side("mx.far.example", https=https, smtp=smtp)
    home = await world.add_station(HOME)

    await home.submit("alice", MESSAGE, BOB)

    await home.wait_until_empty()
    assert len(getattr(far, way)) == 1


async def test_the_second_exchanger_takes_what_the_first_cannot(world: PeerWorld) -> None:
    world.names.say("far.example", "MX", "20 mx.far.example.", "10 dead.far.example.")
    world.names.say("dead.far.example", "A", "127.255.0.9")
    far = await world.add_far_side("mx.far.example")
    home = await world.add_station(HOME)

    await home.submit("alice", MESSAGE, BOB)

    await home.wait_until_empty()
    assert len(far.uploads) == 1


async def test_a_domain_without_mx_is_its_own_exchanger(world: PeerWorld) -> None:
    world.names.say("far.example", "MX")
    far = await world.add_far_side("far.example")
    home = await world.add_station(HOME)

    await home.submit("alice", MESSAGE, BOB)

    await home.wait_until_empty()
    assert len(far.uploads) == 1


@pytest.mark.parametrize(
    ("mx", "words"),
    [(("0 .",), "556 5.1.10"), ((), "512 5.1.2")],
)
async def test_a_domain_that_takes_no_mail_is_told_at_once(
    world: PeerWorld, mx: tuple[str, ...], words: str
) -> None:
    world.names.say("far.example", "MX", *mx)
    home = await world.add_station(HOME)

    await home.submit("alice", MESSAGE, BOB)

    await expect_report(home, words, f"Final-Recipient: rfc822; {BOB}", "Action: failed")


async def test_a_certificate_that_nobody_vouches_for_gets_no_mail(world: PeerWorld) -> None:
    far = await world.add_far_side("mx.far.example", is_trusted=False)
    home = await world.add_station(HOME, give_up_seconds=3_600)
    await home.submit("alice", MESSAGE, BOB)
    await asyncio.sleep(0.5)
    assert await home.inbox("alice") == []

    home.now_offset = 3_600

    await expect_report(home, "not reached for 1 hours", "CERTIFICATE_VERIFY_FAILED", "Status: 5.4.7")
    assert (far.uploads, far.letters) == ([], [])


async def test_a_server_without_tls_gets_no_mail(world: PeerWorld) -> None:
    far = await world.add_far_side("mx.far.example", https=False)
    far.offers_tls = False
    home = await world.add_station(HOME)

    await home.submit("alice", MESSAGE, BOB)

    await until(lambda: "offers no TLS" in str(home.traffic.list_peers(1).peers[0].last_problem))
    assert far.connections > 0
    assert far.letters == []
    assert count_queued(home) == {"far.example": 1}


async def test_recipients_are_told_apart_by_what_the_server_says_of_each(world: PeerWorld) -> None:
    far = await world.add_far_side("mx.far.example", https=False)
    far.replies = {BOB: "550 5.1.1 Unknown user", CAROL: "451 4.7.1 Greylisted"}
    home = await world.add_station(HOME)

    await home.submit("alice", MESSAGE, BOB, CAROL, "dave@far.example")

    await expect_report(home, BOB, "550 5.1.1 Unknown user", "Diagnostic-Code: smtp; 550", "Status: 5.1.1")
    assert CAROL not in (await home.inbox("alice"))[0].decode()
    far.replies = {}
    await home.wait_until_empty()
    assert [letter.recipients for letter in far.letters] == [["dave@far.example"], [CAROL]]


async def test_a_refusal_for_good_is_reported_and_one_for_now_is_tried_again(world: PeerWorld) -> None:
    far = await world.add_far_side("mx.far.example", https=False)
    home = await world.add_station(HOME)
    far.replies = {"DATA": "451 4.3.0 Later"}
    await home.submit("alice", MESSAGE, BOB)
    await asyncio.sleep(0.3)
    far.replies = {"DATA": "554 5.7.1 Never"}

    await expect_report(home, "554 5.7.1 Never")


async def test_a_refusal_by_https_stands_when_smtp_cannot_be_reached(world: PeerWorld) -> None:
    far = await world.add_far_side("mx.far.example", smtp=False)
    far.http_answers = [(403, b"Encryption Needed: Invalid Unencrypted Mail")]
    home = await world.add_station(HOME)

    await home.submit("alice", MESSAGE, BOB)

    await expect_report(home, "403 Encryption Needed: Invalid Unencrypted Mail", "Status: 5.7.1")


async def test_a_policy_of_mta_sts_keeps_mail_from_other_exchangers(world: PeerWorld) -> None:
    far = await world.add_far_side("mx.far.example")
    other = await world.add_far_side("evil.example")
    sts = await world.add_far_side("mta-sts.far.example", smtp=False)
    policy = b"version: STSv1\r\nmode: enforce\r\nmx: mx.far.example\r\nmax_age: 86400\r\n"
    sts.fetched = {"/.well-known/mta-sts.txt": policy}
    world.names.say("_mta-sts.far.example", "TXT", '"v=STSv1; id=1"')
    world.names.say("far.example", "MX", "10 evil.example.", "20 mx.far.example.")
    home = await world.add_station(HOME)

    await home.submit("alice", MESSAGE, BOB)

    await home.wait_until_empty()
    assert (len(far.uploads), other.uploads) == (1, [])


async def test_a_policy_of_mta_sts_outlives_the_process_that_fetched_it(
    world: PeerWorld, tmp_path: Path
) -> None:
    far = await world.add_far_side("mx.far.example")
    other = await world.add_far_side("evil.example")
    sts = await world.add_far_side("mta-sts.far.example", smtp=False)
    policy = b"version: STSv1\r\nmode: enforce\r\nmx: mx.far.example\r\nmax_age: 86400\r\n"
    sts.fetched = {"/.well-known/mta-sts.txt": policy}
    world.names.say("_mta-sts.far.example", "TXT", '"v=STSv1; id=1"')
    world.names.say("far.example", "MX", "10 mx.far.example.")
    for home in (await world.add_station(HOME), await world.add_station("next.example")):
        async with AsyncExitStack() as process:
            await StsMemory(tmp_path / "mta-sts.json", home.courier.sts).start(process)
            await home.submit("alice", MESSAGE.replace(HOME.encode(), home.domain.encode()), BOB)
            await home.wait_until_empty()
        # From here on, somebody answers in the place of the domain's name servers.
        world.names.say("_mta-sts.far.example", "TXT")
        world.names.say("far.example", "MX", "10 evil.example.", "20 mx.far.example.")

    assert (len(far.uploads), other.uploads) == (2, [])


@pytest.mark.parametrize(
    "policy",
    [
        PeerPolicy(is_enabled=True, rules={"far.example": frozenset(PeerTransport)}),
        PeerPolicy(is_enabled=True, mode=FederationMode.REJECT),
    ],
)
async def test_a_domain_that_the_policy_names_is_refused_at_once_with_the_reason(
    world: PeerWorld, policy: PeerPolicy
) -> None:
    home = await world.add_station(HOME)
    home.holder.current = policy
    with pytest.raises(CommandError) as refusal:
        await home.submit("alice", MESSAGE, BOB)
    assert (refusal.value.reply.code, refusal.value.reply.text) == (550, NOT_ALLOWED)


async def test_what_waits_for_a_domain_that_becomes_blocked_is_reported(world: PeerWorld) -> None:
    far = await world.add_far_side("mx.far.example", https=False, smtp=False)
    home = await world.add_station(HOME)
    await home.submit("alice", MESSAGE, BOB)
    await asyncio.sleep(0.2)

    home.holder.current = PeerPolicy(is_enabled=True, rules={"far.example": frozenset(PeerTransport)})

    await expect_report(home, NOT_ALLOWED)
    assert far.requests == 0


async def test_a_rule_about_one_transport_leaves_the_other(world: PeerWorld) -> None:
    far = await world.add_far_side("mx.far.example")
    home = await world.add_station(HOME)
    home.holder.current = PeerPolicy(
        is_enabled=True, rules={"far.example": frozenset((PeerTransport.HTTPS,))}
    )

    await home.submit("alice", MESSAGE, BOB)

    await home.wait_until_empty()
    assert (far.requests, len(far.letters)) == (0, 1)


async def test_mail_to_a_dismissed_domain_is_taken_and_goes_nowhere(world: PeerWorld) -> None:
    far = await world.add_far_side("mx.far.example")
    home = await world.add_station(HOME)
    home.holder.current = PeerPolicy(is_enabled=True, dismissed=frozenset(("far.example",)))

    assert await home.submit("alice", MESSAGE, BOB) == 250

    await home.wait_until_empty()
    assert (far.requests, far.connections, await home.inbox("alice")) == (0, 0, [])


@pytest.mark.parametrize(
    "form", ["{host}", "{host}:{https}", "https://{host}:{https}/other", "smtp://{host}:{smtp}"]
)
async def test_an_endpoint_that_an_operator_has_set_replaces_the_mx(world: PeerWorld, form: str) -> None:
    far = await world.add_far_side("elsewhere.example")
    home = await world.add_station(HOME)
    target = form.format(host=far.host, https=world.ports.https, smtp=world.ports.smtp)
    home.holder.current = replace(home.holder.current, overrides={"far.example": target})

    await home.submit("alice", MESSAGE, BOB)

    await home.wait_until_empty()
    assert len(far.letters if form.startswith("smtp") else far.uploads) == 1


async def test_a_domain_that_is_an_address_is_reached_by_it_without_a_certificate_authority(
    world: PeerWorld,
) -> None:
    files = world.certify("192.0.2.7", is_trusted=False)
    far = FarSide("literal", (await world.add_far_side("x.example", is_trusted=False)).tls, world.ports)
    assert files[0].exists()
    await far.open_smtp(world.stack)
    home = await world.add_station(HOME)

    await home.submit("alice", MESSAGE, f"bob@[{far.address}]")

    await home.wait_until_empty()
    assert far.letters[0].recipients == [f"bob@[{far.address}]"]


async def test_traffic_table_knows_after_a_restart_what_waits(world: PeerWorld) -> None:
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(world.directory / "store")
        await store.start(stack)
        for number in range(3):
            to_bob = Envelope(f"delivery-{number:07}", "dead.example", FROM, ("bob@dead.example",))
            await store.deliver([], MESSAGE, int(time.time()), [to_bob])
    world.names.silent.add("dead.example")
    again = SqliteMailStore(world.directory / "store")
    await again.start(world.stack)

    home = await world.add_station(HOME, store=again)

    assert count_queued(home) == {"dead.example": 3}
    assert await home.outbound.purge("dead.example") == 3
    assert count_queued(home) == {"dead.example": 0}


def count_queued(home: PeerStation) -> dict[str, int]:
    return {peer.domain: peer.queued for peer in home.traffic.list_peers(9).peers}


async def test_dead_destinations_slow_no_other(world: PeerWorld) -> None:
    far = await world.add_far_side("mx.far.example")
    for number in range(5):
        world.names.say(f"live{number}.example", "MX", "10 mx.far.example.")
        world.names.say(f"dead{number}.example", "MX", f"10 mx.dead{number}.example.")
        world.names.silent.add(f"mx.dead{number}.example")
    home = await world.add_station(HOME)

    for number in range(5):
        for _ in range(4):
            await home.submit("alice", MESSAGE, f"bob@dead{number}.example", f"bob@live{number}.example")

    await wait_for(far.uploads, 20)  # type: ignore[arg-type] # counted only
    async with asyncio.timeout(5):
        while (await home.store.read_outgoing_usage()).message_count != 20:  # noqa: ASYNC110 - any store
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("drop", [b"", b"a"], ids=["silent", "dripping"])
async def test_a_server_that_never_finishes_its_answer_is_tried_again_and_stops_nobody(
    world: PeerWorld, drop: bytes
) -> None:
    await add_mute_side(world, "mute.example", drop)
    far = await world.add_far_side("mx.far.example")
    home = await world.add_station(HOME)
    home.courier.uploads.answer_seconds = 0.3
    await home.submit("alice", MESSAGE, "bob@mute.example")

    async with asyncio.timeout(10):
        while not (rows := await home.store.list_outgoing("mute.example", 1))[0].attempt_count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await home.submit("alice", MESSAGE, BOB)

    await wait_for(far.uploads)  # type: ignore[arg-type] # counted only
    assert rows[0].attempt_count == 1
    (row,) = [each for each in home.traffic.list_peers(9).peers if each.domain == "mute.example"]
    assert row.failed_https == 1
    assert row.queued == 1


async def test_mail_goes_though_the_host_of_a_mta_sts_policy_never_answers(world: PeerWorld) -> None:
    await add_mute_side(world, "mta-sts.far.example")
    world.names.say("_mta-sts.far.example", "TXT", '"v=STSv1; id=1"')
    far = await world.add_far_side("mx.far.example")
    home = await world.add_station(HOME)
    home.courier.uploads.answer_seconds = 0.3

    await home.submit("alice", MESSAGE, BOB)

    await home.wait_until_empty()
    assert len(far.uploads) == 1
