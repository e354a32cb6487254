"""TLS sessions that outlive a restart: the key in force, its file, its age."""

import asyncio
import os
import ssl
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mailnode.ticket_probe import KEY_BYTES, TicketKeyError, set_ticket_key, shake_hands
from mailnode.tls_tickets import KEY_FILE, KEY_SECONDS, PROOF_FILE, TicketKey, is_possible
from self_signed import make_certificate

pytestmark = pytest.mark.anyio


def build_server(directory: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    return context


def build_client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def make_ticket_key(directory: Path) -> TicketKey:
    certificate, key = make_certificate(directory, "192.0.2.1")
    return TicketKey(directory, [build_server(directory)], certificate, key)


async def wait_for_key(directory: Path) -> None:
    """Wait until the proof has been made and the key is in force."""
    async with asyncio.timeout(15):
        while not (directory / KEY_FILE).exists():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


async def test_session_is_resumed_after_a_restart(tmp_path: Path) -> None:
    client, first = build_client(), make_ticket_key(tmp_path)
    async with AsyncExitStack() as stack:
        await first.start(stack)
        await wait_for_key(tmp_path)
        session, _ = shake_hands(client, first.contexts[0], None)
    second = TicketKey(tmp_path, [build_server(tmp_path)], first.certificate, first.key)
    async with AsyncExitStack() as stack:
        await second.start(stack)

        assert shake_hands(client, second.contexts[0], session)[1]


def test_without_a_kept_key_no_session_is_resumed_after_a_restart(tmp_path: Path) -> None:
    make_certificate(tmp_path, "192.0.2.1")
    client = build_client()
    session, _ = shake_hands(client, build_server(tmp_path), None)

    assert not shake_hands(client, build_server(tmp_path), session)[1]


@pytest.mark.parametrize(("age_seconds", "is_kept"), [(KEY_SECONDS - 60, True), (KEY_SECONDS + 1, False)])
def test_key_is_replaced_when_it_is_too_old(tmp_path: Path, age_seconds: int, is_kept: bool) -> None:
    tickets, path = make_ticket_key(tmp_path), tmp_path / KEY_FILE
    tickets.renew(time.time())
    before = path.read_bytes()
    os.utime(path, (time.time() - age_seconds,) * 2)
    tickets.renew(time.time())

    assert (path.read_bytes() == before) is is_kept


def test_key_is_read_by_its_owner_only_and_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    tickets, path = make_ticket_key(tmp_path), tmp_path / KEY_FILE
    path.write_bytes(b"short")
    tickets.renew(time.time())

    assert len(path.read_bytes()) == KEY_BYTES
    assert path.stat().st_mode & 0o777 == 0o600


def test_directory_that_cannot_be_written_is_borne(tmp_path: Path) -> None:
    tickets = make_ticket_key(tmp_path)
    (tmp_path / KEY_FILE).mkdir()
    tickets.renew(time.time())

    assert (tmp_path / KEY_FILE).is_dir()


def test_key_of_a_wrong_length_is_refused(tmp_path: Path) -> None:
    make_certificate(tmp_path, "192.0.2.1")
    with pytest.raises(TicketKeyError):
        set_ticket_key(build_server(tmp_path), b"short")


async def test_proof_fails_without_a_certificate(tmp_path: Path) -> None:
    assert not await is_possible(tmp_path / "none.crt", tmp_path / "none.key")


async def test_node_without_the_proof_goes_on(tmp_path: Path) -> None:
    tickets = TicketKey(tmp_path, [], tmp_path / "none.crt", tmp_path / "none.key")
    async with AsyncExitStack() as stack:
        await tickets.start(stack)
        await asyncio.sleep(0.5)

    assert not (tmp_path / KEY_FILE).exists()


async def test_proof_is_made_once_for_each_version(tmp_path: Path) -> None:
    tickets = make_ticket_key(tmp_path)
    (tmp_path / PROOF_FILE).write_text("another version")
    async with AsyncExitStack() as stack:
        await tickets.start(stack)
        await wait_for_key(tmp_path)
    (tmp_path / KEY_FILE).unlink()
    (tmp_path / "tls.key").unlink()  # no proof could be made now
    async with AsyncExitStack() as stack:
        await tickets.start(stack)

        assert (tmp_path / KEY_FILE).exists()
