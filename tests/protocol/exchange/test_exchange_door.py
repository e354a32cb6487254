"""What an exchanger takes, and what it refuses: each limit below, at and above it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from mailnode.exchange import daemon
from mailnode.exchange.hops import MAX_HOPS
from mailnode.federation.delivery import MAX_RECIPIENTS
from support.openpgp_messages import armored, encrypted_mail, real_packets
from support.own_exchanger import OwnExchanger
from support.peering_site import next_address, open_world

pytestmark = pytest.mark.anyio

KEPT, OTHER, PASSED = "kept.example", "other.example", "passed.example"
BOB = f"bob@{KEPT}"
MAIL = bytes(encrypted_mail())
PLAIN = b"From: <eve@far.example>\r\nTo: x\r\nSubject: hi\r\n\r\nin clear text\r\n"
SMALLEST = 1 << 16


def mail_of_size(size_bytes: int) -> bytes:
    """Write an encrypted message of exactly this size."""
    small = bytes(encrypted_mail(armored(real_packets(size_bytes // 2))))
    return small.replace(b"Subject: ", b"Subject: " + b"x" * (size_bytes - len(small)))


@asynccontextmanager
async def open_exchanger(directory: Path, **changes: object) -> AsyncIterator[OwnExchanger]:
    exchanger = OwnExchanger(
        kept=(KEPT, OTHER, "[192.0.2.1]"),
        forwarded={PASSED: f"https://{next_address()}:9/x"},
        changes=changes,
    )
    async with open_world(directory) as world, AsyncExitStack() as stack:
        await exchanger.start(world, stack)
        yield exchanger


async def post_all(exchanger: OwnExchanger, messages: Sequence[bytes], to: str = BOB) -> list[int]:
    return [(await exchanger.post(message, to)).status_code for message in messages]


async def test_listed_domains_are_taken_however_they_are_written_and_no_others(tmp_path: Path) -> None:
    async with open_exchanger(tmp_path) as exchanger:
        for taken in (BOB, f"<{BOB}>", "x@KEPT.example", "x@[192.0.2.1]", f"y@{PASSED}"):
            answer = await exchanger.post(MAIL, taken.strip("<>"))
            assert (answer.status_code, answer.text) == (200, "OK"), taken
        for refused in ("x@foreign.example", "x@sub.kept.example", "x@[192.0.2.2]", "x@kept"):
            answer = await exchanger.post(MAIL, refused)
            assert answer.status_code == 403, refused
            assert "its operator has not listed it" in answer.text
        assert (await exchanger.post(MAIL, BOB, "x@foreign.example")).status_code == 403
        figures = await exchanger.read_figures()
        assert (figures["received"], figures["refused"], figures["waiting_messages"]) == (5, 5, 5)


@pytest.mark.parametrize(
    ("message", "status", "words"),
    [
        (PLAIN, 403, "Encryption Needed"),
        (MAIL.replace(b"BEGIN PGP", b"BEGIN PGQ"), 403, "Encryption Needed"),
        (MAIL.replace(b"\r\n", b"\n", 3), 400, "CRLF"),
        (b"", 403, "Encryption Needed"),
    ],
    ids=["clear text", "broken armor", "bare line feeds", "empty"],
)
async def test_what_is_not_encrypted_mail_is_refused(
    tmp_path: Path, message: bytes, status: int, words: str
) -> None:
    async with open_exchanger(tmp_path) as exchanger:
        answer = await exchanger.post(message, BOB)

        assert answer.status_code == status
        assert words in answer.text
        assert (await exchanger.read_figures())["waiting_messages"] == 0


async def test_envelope_is_judged_before_the_message(tmp_path: Path) -> None:
    async with open_exchanger(tmp_path) as exchanger:
        assert (await exchanger.ask("POST", "/mxdeliv", content=MAIL)).text == "Missing X-Mail-To header"
        assert (await exchanger.post(MAIL, "no address")).status_code == 400
        assert (await exchanger.post(MAIL, BOB, sender="no address")).status_code == 400
        assert (await exchanger.post(MAIL, BOB, sender="")).status_code == 200  # a report
        many = [f"{number}@{KEPT}" for number in range(MAX_RECIPIENTS + 1)]
        assert (await exchanger.post(MAIL, *many[1:])).status_code == 200
        assert (await exchanger.post(MAIL, *many)).status_code == 400
        for hops, status in (
            ("0", 200),
            (str(MAX_HOPS - 1), 200),
            (str(MAX_HOPS), 403),
            ("-1", 400),
            ("x", 400),
        ):
            assert (await exchanger.post(MAIL, BOB, x_madfleet_exchangers=hops)).status_code == status, hops


async def test_message_may_have_just_the_size_that_is_set(tmp_path: Path) -> None:
    async with open_exchanger(tmp_path, message_bytes=SMALLEST) as exchanger:
        below, at, above = (mail_of_size(SMALLEST + step) for step in (-1, 0, 1))
        assert (len(below), len(at), len(above)) == (SMALLEST - 1, SMALLEST, SMALLEST + 1)

        assert await post_all(exchanger, [below, at, above]) == [200, 200, 413]

        async def in_pieces(message: bytes) -> AsyncIterator[bytes]:
            for start in range(0, len(message), 9_000):
                yield message[start : start + 9_000]

        headers = {"x-mail-to": BOB}
        for message, status in ((at, 200), (above, 413)):  # it does not say beforehand how long it is
            answer = await exchanger.ask("POST", "/mxdeliv", content=in_pieces(message), headers=headers)
            assert answer.status_code == status


async def test_large_message_is_refused_before_it_is_read(tmp_path: Path) -> None:
    head = f"POST /mxdeliv HTTP/1.1\r\nhost: x\r\nx-mail-to: {BOB}\r\ncontent-length: {SMALLEST + 1}\r\n\r\n"
    async with open_exchanger(tmp_path, message_bytes=SMALLEST) as exchanger:
        assert (await exchanger.say(head.encode())).startswith(b"HTTP/1.1 413")


async def test_source_may_send_as_often_as_is_set(tmp_path: Path) -> None:
    async with open_exchanger(tmp_path, messages_per_minute=3) as exchanger:
        answers = await post_all(exchanger, [MAIL] * (3 * daemon.BURST_MINUTES + 1))

        assert answers == [200] * 3 * daemon.BURST_MINUTES + [429]
        answer = await exchanger.post(MAIL, BOB)
        assert "Too many messages from this address" in answer.text
        assert answer.headers["retry-after"] == "60"
    async with open_exchanger(tmp_path, messages_per_minute=0) as exchanger:
        assert await post_all(exchanger, [MAIL] * 20) == [200] * 20


async def test_domain_has_its_space_and_leaves_that_of_others(tmp_path: Path) -> None:
    message = mail_of_size(40_000)
    async with open_exchanger(
        tmp_path, message_bytes=SMALLEST, domain_bytes=120_000, total_bytes=200_000
    ) as exchanger:
        assert await post_all(exchanger, [message] * 4) == [200, 200, 200, 429]
        assert await post_all(exchanger, [message] * 3, f"carol@{OTHER}") == [200, 200, 429]  # that is all
        answer = await exchanger.post(MAIL, f"x@{PASSED}")
        assert (answer.status_code, "has no space" in answer.text) == (429, True)

        (first, *_) = (await exchanger.pull(KEPT)).json()["messages"]
        await exchanger.acknowledge(KEPT, [first["id"]])

        assert await post_all(exchanger, [message] * 2, f"carol@{OTHER}") == [200, 429]


async def test_message_for_two_domains_takes_the_space_of_both(tmp_path: Path) -> None:
    message = mail_of_size(40_000)
    async with open_exchanger(
        tmp_path, message_bytes=SMALLEST, domain_bytes=70_000, total_bytes=79_999
    ) as exchanger:
        assert (await exchanger.post(message, BOB, f"carol@{OTHER}")).status_code == 413
        assert (await exchanger.post(message, BOB)).status_code == 200


async def test_health_tells_how_much_and_nobody_s_name(tmp_path: Path) -> None:
    async with open_exchanger(tmp_path) as exchanger:
        await exchanger.post(MAIL, BOB)
        for path in ("/health", "/mxdeliv"):
            answer = await exchanger.ask("GET", path)
            assert answer.json()["status"] == "ok"
            assert answer.json()["waiting_bytes"] == len(MAIL)
            assert "example" not in answer.text


async def test_other_paths_and_methods_are_told_so(tmp_path: Path) -> None:
    async with open_exchanger(tmp_path) as exchanger:
        assert (await exchanger.ask("GET", "/docs")).status_code == 404
        assert (await exchanger.ask("PUT", "/mxdeliv")).status_code == 405
        assert (await exchanger.ask("GET", "/pull/ack")).status_code == 405
