"""The journal as a file: what it refuses, how it grows, and that trouble with it touches no call."""

from pathlib import Path
from zlib import crc32

import pytest

from support.turn_machine import PEER, Client, Node
from turnnode.relay.journal import Journal
from turnnode.relay.journal_format import HEADER, NONCE_KEY_BYTES, read_journal, write_allocation
from turnnode.stun.attributes import (
    FAMILY_IPV4,
    FAMILY_IPV6,
    AttributeType,
    encode_first_octet,
    encode_lifetime,
)
from turnnode.stun.message import Method

KEY = bytes(NONCE_KEY_BYTES)


def opened(path: Path, short_bytes: int = 1 << 20) -> tuple[Journal, Client]:
    """Open a journal, and a client that has a permission and a channel."""
    journal = Journal(path, short_bytes=short_bytes)
    journal.begin(KEY, [])
    client = Node(memory=journal).client()
    client.allocate()
    assert client.permit(("8.8.4.4", 9999)) == 200
    assert client.bind(0x4000, PEER) == 200
    return journal, client


def framed(text: bytes) -> bytes:
    return b"%08x %s\n" % (crc32(text), text)


def test_everything_that_a_client_holds_is_recalled(tmp_path: Path) -> None:
    journal, client = opened(tmp_path / "journal")
    journal.close()
    (record,) = Journal(tmp_path / "journal").recall().allocations.values()
    (held,) = client.node.machine.list_allocations()

    assert (record.client, record.server) == (held.client, held.side.address)
    assert (record.relay, record.published) == (held.port.bound, held.port.published)
    assert (record.username, record.expires_at) == (held.username, held.expires_at)
    assert (record.transaction_id, record.answer) == (held.transaction_id, held.answer)
    assert record.permissions == held.permissions
    assert {channel.number: (channel.peer, channel.expires_at) for channel in record.channels} == {
        number: (channel.peer, channel.expires_at) for number, channel in held.channels.items()
    }


def test_ports_that_are_recalled_are_those_of_now(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.begin(KEY, [])
    client = Node(memory=journal).client()
    client.allocate((AttributeType.ADDITIONAL_ADDRESS_FAMILY, encode_first_octet(FAMILY_IPV6)))
    ipv4, ipv6 = (port.published for port in client.node.ports.opened)
    records = [next(iter(Journal(tmp_path / "journal").recall().allocations.values()))]
    client.ask(
        Method.REFRESH,
        (AttributeType.LIFETIME, encode_lifetime(0)),
        (AttributeType.REQUESTED_ADDRESS_FAMILY, encode_first_octet(FAMILY_IPV4)),
    )
    records += Journal(tmp_path / "journal").recall().allocations.values()

    assert [(each.published, each.second_published) for each in records] == [(ipv4, ipv6), (ipv6, None)]


def test_journal_is_for_nobody_else(tmp_path: Path) -> None:
    journal, _ = opened(tmp_path / "journal")
    journal.close()

    assert Journal(tmp_path / "journal").recall().nonce_key == KEY
    assert "key" not in repr(Journal(tmp_path / "journal").recall()).replace("kind", "")
    assert (tmp_path / "journal").stat().st_mode & 0o077 == 0


def test_allocation_that_has_ended_is_not_recalled(tmp_path: Path) -> None:
    journal, client = opened(tmp_path / "journal")
    client.ask(Method.REFRESH, (AttributeType.LIFETIME, encode_lifetime(0)))
    journal.close()

    assert Journal(tmp_path / "journal").recall().allocations == {}


def test_policy_that_forbids_a_peer_holds_after_the_next_start(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.begin(KEY, [])
    node = Node(memory=journal, allow="127.0.0.0/8")
    client = node.client()
    client.allocate()
    assert client.bind(0x4000, ("127.0.0.9", 5000)) == 200
    node.policy.replace(type(node.policy.current)(realm="example.org", secrets=node.policy.current.secrets))
    journal.close()
    (record,) = Journal(tmp_path / "journal").recall().allocations.values()

    assert (record.channels, record.permissions) == ((), {})


@pytest.mark.parametrize("content", [b"", b"turnnode journal 2\n", b"\0" * 100, HEADER[:-1]])
def test_file_that_is_no_journal_of_this_version_is_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal").write_bytes(content)

    assert Journal(tmp_path / "journal").recall().allocations == {}


def test_missing_file_and_missing_directory_are_no_trouble(tmp_path: Path) -> None:
    assert Journal(tmp_path / "journal").recall().allocations == {}
    journal, client = opened(tmp_path / "nowhere" / "journal")
    journal.close()
    assert client.node.counters.allocations == 1


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'{"kind":"another"}',
        b'{"kind":"nonce key","key":"00"}',
        b'{"kind":"end","client":["no address",1],"server":["9.9.9.1",3478]}',
        b'{"kind":"end","client":["9.9.9.1",65536],"server":["9.9.9.1",3478]}',
        b'{"kind":"end","client":["09.9.9.1",1],"server":["9.9.9.1",3478]}',
    ],
)
def test_line_that_means_nothing_ends_the_reading(text: bytes) -> None:
    recollection = read_journal(HEADER + framed(text))

    assert recollection.unread_bytes == len(framed(text))
    assert recollection.allocations == {}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b'"number":16384', b'"number":16383'),
        (b'"number":16384', b'"number":32768'),
        (b'["8.8.8.8",50000]', b'["8.8.8.8%1",50000]'),
        (b'"expires_at"', b'"expires_on"'),
        (b'"8.8.4.4":', b'"8.8.4.400":'),
    ],
)
def test_allocation_with_a_value_that_cannot_be_is_not_read(
    tmp_path: Path, right: bytes, wrong: bytes
) -> None:
    journal, client = opened(tmp_path / "journal")
    journal.close()
    (held,) = client.node.machine.list_allocations()
    text = write_allocation(held)[9:-1]

    assert right in text
    assert len(read_journal(HEADER + framed(text)).allocations) == 1
    assert read_journal(HEADER + framed(text.replace(right, wrong))).allocations == {}


def test_two_channels_of_one_peer_are_not_read(tmp_path: Path) -> None:
    journal, client = opened(tmp_path / "journal")
    assert client.bind(0x4001, ("8.8.8.8", 50_001)) == 200
    journal.close()
    (held,) = client.node.machine.list_allocations()
    text = write_allocation(held)[9:-1]

    assert len(read_journal(HEADER + framed(text)).allocations) == 1
    assert read_journal(HEADER + framed(text.replace(b"50001", b"50000"))).allocations == {}


def test_journal_is_written_anew_when_it_has_grown(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal, client = opened(path, short_bytes=4000)
    sizes = []
    for _ in range(200):
        client.ask(Method.REFRESH)
        sizes.append(path.stat().st_size)
    journal.close()

    assert max(sizes) <= 4000
    assert sizes != sorted(sizes)
    assert len(Journal(path).recall().allocations) == 1


def test_line_that_finds_no_room_is_left_out_and_the_next_ones_are_not(tmp_path: Path) -> None:
    """The file's size is limited, as a full file system would do it."""
    import resource  # noqa: PLC0415 - one test
    import signal  # noqa: PLC0415 - one test

    path = tmp_path / "journal"
    journal, client = opened(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
    try:
        assert client.bind(0x4001, ("8.8.8.8", 50_001)) == 200
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)
    (record,) = Journal(path).recall().allocations.values()
    assert len(record.channels) == 1
    assert client.bind(0x4002, ("8.8.8.8", 50_002)) == 200
    journal.close()

    recollection = Journal(path).recall()
    (record,) = recollection.allocations.values()
    assert (len(record.channels), recollection.unread_bytes) == (3, 0)
