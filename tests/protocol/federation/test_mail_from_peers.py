"""Mail from servers of others: who is believed, and what everybody else is told, at both doors."""

import asyncio
import smtplib
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest

from mailnode.accounts.policy import Policy
from mailnode.accounts.rate_limit import RateLimit
from mailnode.dkim.signing import write_signatures
from mailnode.peering import smtp_session
from mailnode.peering.policy import NOT_ALLOWED, PeerPolicy
from mailnode.peering.reception import OWN_DOMAIN, SENT_ON, WRONG_SOURCE
from mailnode.smtp.delivery_report import READ_BY_APPS, write_report
from nodelink.contract.federation import PeerTransport
from support.dkim_mails import keys, now
from support.openpgp_messages import ALICE, encrypted_mail
from support.peering_site import PeerStation, PeerWorld, next_address, open_world

pytestmark = pytest.mark.anyio

HOME, FAR = "home.example", "far.example"
EVE = f"eve@{FAR}"
BOB, CAROL = f"bob@{HOME}", f"carol@{HOME}"


def mail_of(sender: str = EVE) -> bytes:
    return bytes(encrypted_mail()).replace(ALICE.encode(), sender.encode())


def sign(message: bytes, domain: str = FAR) -> bytes:
    return write_signatures(message, domain, keys(), now()) + message


MAIL = mail_of()
PLAIN = b"From: <eve@far.example>\r\nTo: x\r\nSubject: hi\r\n\r\nin clear text\r\n"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[PeerWorld]:
    async with open_world(tmp_path, [HOME, FAR]) as world:
        world.names.publish(FAR, keys())
        world.names.publish("other.example", keys())
        yield world


@pytest.fixture
async def home(world: PeerWorld) -> PeerStation:
    station = await world.add_station(HOME, mail_policy=Policy(message_bytes=100_000))
    for name in ("bob", "carol"):
        await station.account(name)
    return station


class Caller:
    """A server of others, at an address of its own; both doors look the same to a test."""

    def __init__(self, home: PeerStation, door: PeerTransport, address: str | None = None) -> None:
        self.home, self.door, self.address = home, door, address or next_address()

    async def bring(self, message: bytes, *recipients: str, mail_from: str = EVE) -> tuple[int, str]:
        """Hand a message over; return code and text of the answer."""
        if self.door is PeerTransport.SMTP:
            return await asyncio.to_thread(self._by_smtp, message, recipients or (BOB,), mail_from)
        headers = [("x-mail-from", mail_from), *(("x-mail-to", name) for name in recipients or (BOB,))]
        return await self.post(message, headers)

    async def post(self, message: bytes, headers: list[tuple[str, str]]) -> tuple[int, str]:
        transport = httpx.AsyncHTTPTransport(verify=False, local_address=self.address)
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            url = f"https://{self.home.address}:{self.home.ports.https}/mxdeliv"
            answer = await client.post(url, content=message, headers=headers)
        return answer.status_code, answer.text

    def _by_smtp(self, message: bytes, recipients: tuple[str, ...], mail_from: str) -> tuple[int, str]:
        code, text = 0, b""
        with self.open() as client:
            for command in (
                partial(client.mail, mail_from),
                *(partial(client.rcpt, name) for name in recipients),
                partial(client.data, message),
            ):
                try:
                    code, text = command()
                except smtplib.SMTPDataError as error:
                    code, text = error.smtp_code, error.smtp_error  # type: ignore[assignment] # bytes, as everywhere
                if code >= 400:
                    break
            return code, text.decode()

    def open(self) -> smtplib.SMTP:
        client = smtplib.SMTP(
            self.home.address, self.home.ports.smtp, source_address=(self.address, 0), timeout=10
        )
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client.starttls(context=context)
        client.ehlo()
        return client


@pytest.fixture(params=[PeerTransport.SMTP, PeerTransport.HTTPS])
def caller(request: pytest.FixtureRequest, home: PeerStation) -> Caller:
    return Caller(home, request.param)


def is_told(answer: tuple[int, str], smtp: str, http: tuple[int, str]) -> bool:
    """Tell whether an answer is the documented one of its door."""
    code, text = answer
    return f"{code} {text}" == smtp or (code, text) == http


async def test_a_signed_message_is_taken_and_loses_the_traces_of_its_way(
    home: PeerStation, caller: Caller
) -> None:
    assert (await caller.bring(b"Received: from x\r\n by y\r\n" + sign(MAIL)))[0] in (200, 250)
    assert await home.inbox("bob") == [MAIL]
    (row,) = home.traffic.list_peers(5).peers
    assert (row.domain, row.received) == (FAR, 1)


async def test_a_message_without_signature_is_refused(home: PeerStation, caller: Caller) -> None:
    answer = await caller.bring(MAIL)
    text = "No DKIM signature found"
    assert is_told(answer, f"554 5.7.1 {text}", (400, text)), answer
    assert await home.inbox("bob") == []


@pytest.mark.parametrize(
    "message",
    [
        sign(MAIL).replace(b"\r\n=", b"\r\n+").replace(b"Message-ID: <", b"Message-ID: <1"),
        sign(MAIL, "other.example"),
        sign(mail_of("eve@other.example")).replace(b"d=far", b"d=other"),
        sign(MAIL).replace(b"s=rsa1", b"s=rsa9").replace(b"s=ed1", b"s=ed9"),
        sign(mail_of("mallory@far.example")).replace(b"mallory@", b"eve@"),
        sign(mail_of("eve@sub.far.example")),
    ],
    ids=["broken", "foreign", "forged domain", "unknown key", "forged name", "of the parent"],
)
async def test_a_signature_that_does_not_prove_the_author_is_refused(
    home: PeerStation, caller: Caller, message: bytes
) -> None:
    answer = await caller.bring(message)
    text = "No valid DKIM signature found"
    assert is_told(answer, f"554 5.7.1 {text}", (400, text)), answer
    assert await home.inbox("bob") == []


async def test_nobody_sends_as_one_of_ours(caller: Caller) -> None:
    answer = await caller.bring(sign(mail_of(f"carol@{HOME}"), HOME))
    assert is_told(answer, f"554 5.7.1 {OWN_DOMAIN}", (400, OWN_DOMAIN)), answer


async def test_what_is_not_encrypted_is_refused(caller: Caller) -> None:
    answer = await caller.bring(sign(PLAIN))
    text = "Encryption Needed: Invalid Unencrypted Mail"
    assert is_told(answer, f"523 5.7.1 {text}", (403, text)), answer


@pytest.mark.parametrize("mail_from", ["", "other@elsewhere.example"])
async def test_the_envelope_needs_no_sender(home: PeerStation, caller: Caller, mail_from: str) -> None:
    assert (await caller.bring(sign(MAIL), mail_from=mail_from))[0] in (200, 250)
    assert await home.inbox("bob") == [MAIL]


async def test_a_report_of_a_mailer_daemon_comes_in_if_it_is_signed(
    home: PeerStation, caller: Caller
) -> None:
    report = write_report(domain=FAR, sender=BOB, refused={EVE: "550 no"}, message=MAIL, now_seconds=now())
    assert (await caller.bring(report, mail_from=""))[0] in (400, 554)
    assert (await caller.bring(sign(report), mail_from=""))[0] in (200, 250)
    assert await home.inbox("bob") == [report]


async def test_a_report_that_apps_would_pass_over_is_made_one_that_they_read(
    home: PeerStation, caller: Caller
) -> None:
    report = write_report(domain=FAR, sender=BOB, refused={EVE: "550 no"}, message=MAIL, now_seconds=now())
    field = READ_BY_APPS.encode()
    assert (await caller.bring(sign(report.replace(field, b"")), mail_from=""))[0] in (200, 250)
    assert await home.inbox("bob") == [field + report.replace(field, b"")]


async def test_a_repetition_is_taken_once(home: PeerStation, caller: Caller) -> None:
    for _ in range(2):
        assert (await caller.bring(sign(MAIL)))[0] in (200, 250)
    assert await home.inbox("bob") == [MAIL]


async def test_a_message_that_somebody_else_sends_on_is_refused(home: PeerStation, caller: Caller) -> None:
    signed = sign(MAIL)
    await caller.bring(signed)
    thief = Caller(home, caller.door)

    answer = await thief.bring(signed, CAROL)

    assert is_told(answer, f"554 5.7.1 {SENT_ON}", (400, SENT_ON)), answer
    assert await home.inbox("carol") == []
    assert (await thief.bring(signed, BOB))[0] in (200, 250)  # its own server may have two addresses
    assert (await caller.bring(signed, CAROL))[0] in (200, 250)  # and brings it to each in turn
    assert (await home.inbox("bob"), await home.inbox("carol")) == ([MAIL], [MAIL])


async def test_an_address_speaks_for_itself_and_for_no_other(home: PeerStation, caller: Caller) -> None:
    message = mail_of(f"eve@[{caller.address}]")
    assert (await caller.bring(message, mail_from=f"eve@[{caller.address}]"))[0] in (200, 250)
    answer = await Caller(home, caller.door).bring(message)
    assert is_told(answer, f"554 5.7.1 {WRONG_SOURCE}", (400, WRONG_SOURCE)), answer


async def test_unknown_recipients_are_refused_or_dropped_as_the_policy_says(
    home: PeerStation, caller: Caller
) -> None:
    nobody = f"nobody@{HOME}"
    answer = await caller.bring(sign(MAIL), nobody)
    assert is_told(answer, "550 5.1.1 No such user here", (404, "No such user here")), answer
    home.holder.current = replace(home.holder.current, drops_unknown_recipients=True)
    assert (await caller.bring(sign(MAIL), nobody))[0] in (200, 250)


@pytest.mark.parametrize(("extra", "is_taken"), [(-1, True), (0, True), (1, False)])
async def test_size_is_limited(home: PeerStation, caller: Caller, extra: int, is_taken: bool) -> None:
    message = sign(MAIL)
    home.accounts.policy.current = Policy(message_bytes=len(message) - extra)
    code, text = await caller.bring(message)
    assert (code in (200, 250)) is is_taken
    assert is_taken or is_told((code, text), "552 5.3.4 Message too large", (413, "Message too large"))


async def test_a_size_that_is_declared_too_large_is_refused_before_anything_is_read(
    home: PeerStation,
) -> None:
    caller = Caller(home, PeerTransport.SMTP)

    def declare() -> int:
        with caller.open() as client:
            return client.docmd(f"MAIL FROM:<{EVE}> SIZE=100001")[0]

    assert await asyncio.to_thread(declare) == 552
    reader, writer = await asyncio.open_connection(
        home.address,
        home.ports.https,
        ssl=ssl._create_unverified_context(),  # noqa: S323, SLF001 - no matter here
    )
    head = f"POST /mxdeliv HTTP/1.1\r\nhost: x\r\nx-mail-to: {BOB}\r\ncontent-length: 100001\r\n\r\n"
    writer.write(head.encode())
    assert (await reader.readline()).split()[1] == b"413"
    writer.close()


@pytest.mark.parametrize(
    ("bring", "codes", "is_delivered"),
    [
        (lambda mail: (mail[:50], mail[50:]), [250, 250], True),
        (lambda mail: (mail,), [250], True),
        (lambda mail: (mail[mail.index(b"From:") :],), [554], False),
        (lambda mail: (mail[:50], b"x" * 100_000, mail[50:]), [250, 552, 503], False),
        (lambda mail: (mail.ljust(200_001, b"x"),), [552], False),
    ],
)
async def test_mail_in_chunks_is_proved_and_taken_as_by_data(
    home: PeerStation, bring: Callable[[bytes], tuple[bytes, ...]], codes: list[int], is_delivered: bool
) -> None:
    caller = Caller(home, PeerTransport.SMTP)
    chunks = bring(sign(MAIL))

    def say() -> list[int]:
        with caller.open() as client:
            assert client.has_extn("chunking")
            assert (client.mail(EVE)[0], client.rcpt(BOB)[0]) == (250, 250)
            heard = []
            for chunk in chunks:
                last = b" LAST" if chunk is chunks[-1] else b""
                client.send(b"BDAT %d%b\r\n" % (len(chunk), last) + chunk)
                heard.append(client.getreply()[0])
                if heard == [250] and len(chunks) > 1:
                    assert [client.rcpt(BOB)[0], client.docmd("DATA")[0]] == [503, 503]
            return heard

    assert await asyncio.to_thread(say) == codes
    assert await home.inbox("bob") == ([MAIL] if is_delivered else [])


@pytest.mark.parametrize("way", ["DATA", "BDAT"])
@pytest.mark.parametrize("more_bytes", [0, -1])
async def test_large_mail_is_made_ready_in_a_thread(
    home: PeerStation, monkeypatch: pytest.MonkeyPatch, way: str, more_bytes: int
) -> None:
    mail = sign(MAIL)
    came_bytes = len(mail) if way == "BDAT" else len(mail) + len(b"\r\n")
    monkeypatch.setattr(smtp_session, "LARGE_MESSAGE_BYTES", came_bytes + more_bytes)
    threads: list[bool] = []

    def note(make: Callable[..., bytes], *arguments: object) -> bytes:
        threads.append(threading.current_thread() is not loop_thread)
        return make(*arguments)

    loop_thread = threading.current_thread()
    for name in ("make_message", "check_message"):
        monkeypatch.setattr(smtp_session, name, partial(note, getattr(smtp_session, name)))

    def say() -> int:
        with Caller(home, PeerTransport.SMTP).open() as client:
            assert (client.mail(EVE)[0], client.rcpt(BOB)[0]) == (250, 250)
            if way == "DATA":
                return client.data(mail)[0]
            client.send(b"BDAT %d LAST\r\n" % len(mail) + mail)
            return client.getreply()[0]

    assert await asyncio.to_thread(say) == 250
    assert await home.inbox("bob") == [MAIL]
    assert threads == [more_bytes < 0]


async def test_chunk_without_a_recipient_is_no_command(home: PeerStation) -> None:
    def say() -> list[int]:
        with Caller(home, PeerTransport.SMTP).open() as client:
            client.send(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\nBDAT x\r\nNOOP\r\n")
            return [client.getreply()[0] for _ in range(3)]

    assert await asyncio.to_thread(say) == [503, 250, 501]


async def test_who_sends_too_much_is_asked_to_wait(home: PeerStation, caller: Caller) -> None:
    home.reception.limiter.limit = RateLimit(per_minute=1, burst=2)
    assert (await caller.bring(sign(MAIL)))[0] in (200, 250)
    assert (await caller.bring(sign(MAIL)))[0] in (200, 250)
    assert (await caller.bring(sign(MAIL)))[0] in (429, 450)
    assert (await Caller(home, caller.door).bring(sign(MAIL)))[0] in (200, 250)


async def test_a_domain_that_the_policy_blocks_is_told_so(home: PeerStation, caller: Caller) -> None:
    home.holder.current = PeerPolicy(is_enabled=True, rules={FAR: frozenset((caller.door,))})
    answer = await caller.bring(sign(MAIL))
    assert is_told(answer, f"550 5.7.1 {NOT_ALLOWED}", (403, NOT_ALLOWED)), answer
    other = next(door for door in (PeerTransport.SMTP, PeerTransport.HTTPS) if door is not caller.door)
    assert (await Caller(home, other).bring(sign(MAIL)))[0] in (200, 250)


async def test_while_a_key_cannot_be_looked_up_the_sender_is_asked_to_come_again(
    world: PeerWorld, caller: Caller
) -> None:
    for key in keys():
        world.names.broken.add(f"{key.selector}._domainkey.{FAR}")
    assert (await caller.bring(sign(MAIL)))[0] in (451, 503)


async def test_port_25_relays_for_nobody_and_knows_no_login(home: PeerStation) -> None:
    caller = Caller(home, PeerTransport.SMTP)

    def ask() -> list[int]:
        with caller.open() as client:
            assert not client.has_extn("auth")
            client.mail(EVE)
            return [client.rcpt("x@elsewhere.example")[0], client.docmd("AUTH PLAIN AGEAYg==")[0]]

    assert await asyncio.to_thread(ask) == [550, 502]


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n"])
async def test_a_message_smuggled_behind_another_is_no_message(home: PeerStation, end: bytes) -> None:
    caller = Caller(home, PeerTransport.SMTP)
    text = "Lines must end with CRLF, and CR or LF must not stand alone"

    def talk() -> tuple[int, str]:
        with caller.open() as client:
            client.mail(EVE)
            client.rcpt(BOB)
            client.putcmd("data")
            client.getreply()
            client.send(hide_message_behind(end) + b"\r\n.\r\n")
            code, said = client.getreply()
            return code, said.decode()

    assert await asyncio.to_thread(talk) == (554, f"5.5.2 {text}")
    assert await Caller(home, PeerTransport.HTTPS).bring(hide_message_behind(end)) == (400, text)
    assert (await home.inbox("bob"), await home.inbox("carol")) == ([], [])


async def test_only_its_line_ends_are_wrong_with_a_message_that_hides_another(
    home: PeerStation, caller: Caller
) -> None:
    assert (await caller.bring(hide_message_behind(b"\r\n")))[0] in (200, 250)
    assert (len(await home.inbox("bob")), await home.inbox("carol")) == (1, [])


def hide_message_behind(end: bytes) -> bytes:
    """Write a report, behind which the gate does not look, and sign all of it: the hidden message, too."""
    report = write_report(domain=FAR, sender=BOB, refused={EVE: "550 no"}, message=MAIL, now_seconds=now())
    commands = f"MAIL FROM:<{EVE}>\r\nRCPT TO:<{CAROL}>\r\nDATA\r\n".encode()
    return sign(report + end + commands + sign(MAIL))


# What other programs send, written as their sources have it; none of it was captured from them.


async def test_an_upload_as_chatmail_makes_it_is_taken(home: PeerStation) -> None:
    headers = [("X-MAIL-FROM", EVE), ("X-MAIL-TO", BOB), ("X-MAIL-TO", CAROL), ("accept", "*/*")]
    assert await Caller(home, PeerTransport.HTTPS).post(sign(MAIL), headers) == (200, '{"refused": {}}')
    assert (await home.inbox("bob"), await home.inbox("carol")) == ([MAIL], [MAIL])


async def test_uploads_as_both_madmails_make_them_are_taken(home: PeerStation) -> None:
    caller = Caller(home, PeerTransport.HTTPS)
    first = [
        ("X-Mail-From", EVE),
        ("X-Mail-To", BOB),
        ("Content-Type", "application/octet-stream"),
        ("User-Agent", "Go-http-client/1.1"),
    ]
    assert (await caller.post(sign(MAIL), first))[0] == 200
    for recipient in (BOB, CAROL):  # the second version uploads once for each recipient
        assert (await caller.post(sign(MAIL), [("x-mail-from", EVE), ("x-mail-to", recipient)]))[0] == 200
    assert (await home.inbox("bob"), await home.inbox("carol")) == ([MAIL], [MAIL])


@pytest.mark.parametrize(
    "headers",
    [
        [("x-mail-from", EVE)],
        [("x-mail-from", EVE), ("x-mail-to", "nobody")],
        [("x-mail-to", f"{BOB} {CAROL}")],
    ],
)
async def test_a_malformed_upload_is_refused(home: PeerStation, headers: list[tuple[str, str]]) -> None:
    assert (await Caller(home, PeerTransport.HTTPS).post(sign(MAIL), headers))[0] == 400


async def test_who_did_not_get_a_message_that_others_got_is_told_to_its_author(tmp_path: Path) -> None:
    async with open_world(tmp_path, [HOME, FAR]) as world:
        home, far = await world.add_station(HOME), await world.add_station(FAR)
        await home.account("bob")
        nobody = f"nobody@{HOME}"
        signed = sign(MAIL)
        await far.account("eve")
        caller = Caller(home, PeerTransport.HTTPS, far.address)

        status, _ = await caller.bring(signed, BOB, nobody)

        assert status == 200
        (report,) = await far.wait_for("eve")
        assert b"From: <mailer-daemon@home.example>" in report
        assert nobody.encode() in report
        assert BOB.encode() not in report


async def test_two_nodes_of_different_fleets_exchange_mail_and_reports(tmp_path: Path) -> None:
    async with open_world(tmp_path, [HOME, FAR]) as world:
        home, far = await world.add_station(HOME), await world.add_station(FAR)
        await home.account("bob")

        await far.submit("eve", MAIL, BOB, f"nobody@{HOME}")

        assert await home.wait_for("bob") == [MAIL]
        (report,) = await far.wait_for("eve")
        assert b"From: <mailer-daemon@far.example>" in report
        assert b"No such user here" in report
        await far.wait_until_empty()
        await home.wait_until_empty()


async def test_two_nodes_that_are_addresses_exchange_mail(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        one, two = await world.add_station(None), await world.add_station(None)
        await two.account("bob")
        message = mail_of(f"eve@{one.domain}")

        await one.submit("eve", message, f"bob@{two.domain}")

        assert await two.wait_for("bob") == [message]
        assert world.names.asked == []
