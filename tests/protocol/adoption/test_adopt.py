"""Accounts and mail of another server come over as they were, or are named with the reason why not."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from mailnode.adoption import madmail, relay
from mailnode.adoption.adopting import HERE_ALREADY, adopt, rehearse
from mailnode.adoption.sources import AdoptionError
from mailnode.cli.main import app
from mailnode.dkim.adopting import adopt_key
from mailnode.dkim.errors import KeyFileError
from mailnode.dkim.key_files import read_ring, write_ring
from mailnode.dkim.key_ring import Stage, announce_next, make_ring
from mailnode.store.checking import check_store
from mailnode.store.sqlite_schema import StoreStartError
from mailnode.store.sqlite_store import SqliteMailStore
from support.foreign_servers import NOW, PASSWORD, make_madmail, make_maildir, make_relay, write_message
from support.store_accounts import fast_hasher
from support.store_backends import open_sqlite
from support.store_mail import deliver

pytestmark = pytest.mark.anyio
DOMAIN = "example.org"


def on_wire(message: bytes) -> bytes:
    return message.replace(b"\n", b"\r\n")


async def read_box(store: SqliteMailStore, address: str, name: str) -> dict[str, object]:
    account = await store.find_account(address)
    assert account is not None
    mailbox = await store.find_mailbox(account.id, name)
    assert mailbox is not None
    contents = await store.read_contents(mailbox.id)
    return {
        "uid_validity": mailbox.uid_validity,
        "uid_next": contents.uid_next,
        "messages": [
            (each.uid, sorted(each.flags), each.received_at_seconds, await store.read_body(each.body_id))
            for each in contents.messages
        ],
    }


async def test_relay_comes_over_as_it_was(tmp_path: Path) -> None:
    found = relay.find_accounts(make_relay(tmp_path / "relay"))
    mail = tmp_path / "mail"

    adopted = adopt(found, mail, DOMAIN)

    assert (adopted.accounts, adopted.mailboxes, adopted.messages) == (2, 3, 4)
    assert adopted.left == [("nobody99@example.org", "it has no password: nobody has logged in")]
    assert check_store(mail).faults == ()
    async with open_sqlite(mail) as store:
        assert await read_box(store, "alice123@example.org", "INBOX") == {
            "uid_validity": 1_600_000_001,
            "uid_next": 9,
            "messages": [
                (4, ["\\Seen"], 1_700_000_001, on_wire(write_message(1))),
                (
                    7,
                    ["$Forwarded", "\\Answered", "\\Seen"],
                    1_700_000_002,
                    on_wire(write_message(2, 300_000)),
                ),
                (8, [], 1_700_000_003, on_wire(write_message(3))),
            ],
        }
        box = await read_box(store, "alice123@example.org", "DeltaChat")
        assert (box["uid_validity"], box["uid_next"]) == (1_600_000_002, 3)
        alice = await store.find_account("alice123@example.org")
        assert alice is not None
        assert alice.last_login_at_seconds == NOW
        assert await store.list_subscriptions(alice.id) == ["DeltaChat"]
        assert await fast_hasher().verify(alice.password_hash, PASSWORD)
        await deliver(store, alice)
        inbox = await read_box(store, "alice123@example.org", "INBOX")
        assert inbox["uid_next"] == 10
    assert check_store(mail).faults == ()


async def test_subscriptions_of_newer_relays_come_over_with_their_levels(tmp_path: Path) -> None:
    alice = make_relay(tmp_path / "relay") / "alice123@example.org"
    make_maildir(alice / ".Archive.2024", 1_600_000_004, 1)
    (alice / "subscriptions").write_text("V\t2\n\nDeltaChat\nArchive\t2024\n")

    adopt(relay.find_accounts(tmp_path / "relay"), tmp_path / "mail", DOMAIN)

    async with open_sqlite(tmp_path / "mail") as store:
        account = await store.find_account("alice123@example.org")
        assert account is not None
        assert sorted(await store.list_subscriptions(account.id)) == ["Archive/2024", "DeltaChat"]


async def test_madmail_comes_over_as_it_was(tmp_path: Path) -> None:
    found = madmail.find_accounts(make_madmail(tmp_path / "madmail"))
    mail = tmp_path / "mail"

    adopted = adopt(found, mail, DOMAIN)

    assert (adopted.accounts, adopted.messages) == (2, 2)
    assert [address for address, _ in adopted.left] == ["erin1234@example.org"]
    async with open_sqlite(mail) as store:
        assert await read_box(store, "carol123@example.org", "INBOX") == {
            "uid_validity": 1_600_000_009,
            "uid_next": 12,
            "messages": [
                (5, ["\\Seen"], 1_700_000_005, on_wire(write_message(5))),
                (11, [], 1_700_000_006, on_wire(write_message(11))),
            ],
        }
        assert (await read_box(store, "carol123@example.org", "Archive/2024"))[
            "uid_validity"
        ] == 1_600_000_010
    assert check_store(mail).faults == ()


async def test_rehearsal_reads_all_and_writes_nothing(tmp_path: Path) -> None:
    found = relay.find_accounts(make_relay(tmp_path / "relay"))

    planned = rehearse(found, tmp_path / "mail", DOMAIN)

    assert not (tmp_path / "mail").exists()
    assert planned == adopt(found, tmp_path / "mail", DOMAIN)


async def test_second_run_leaves_what_is_here_alone(tmp_path: Path) -> None:
    found = relay.find_accounts(make_relay(tmp_path / "relay"))
    adopt(found, tmp_path / "mail", DOMAIN)
    (tmp_path / "mail/bodies" / f"{999:016x}").write_bytes(b"of a run that was cut off")

    for again in (rehearse(found, tmp_path / "mail", DOMAIN), adopt(found, tmp_path / "mail", DOMAIN)):
        assert again.accounts == 0
        assert [why for _, why in again.left].count(HERE_ALREADY) == 2
    assert check_store(tmp_path / "mail").faults == ()


@pytest.mark.parametrize(
    "uid_list",
    [
        "",
        "1 1600000001 8\n",
        "3 V0 N1 G0\n",
        "3 V99999999999 N1 G0\n",
        "3 Vx N1 G0\n",
        "3 V5 N2 G0\n0 :1700000001.M1P2.relay\n",
    ],
)
async def test_account_that_cannot_be_read_is_left_whole_and_named(tmp_path: Path, uid_list: str) -> None:
    directory = make_relay(tmp_path / "relay")
    (directory / "alice123@example.org/dovecot-uidlist").write_text(uid_list)

    adopted = adopt(relay.find_accounts(directory), tmp_path / "mail", DOMAIN)

    assert adopted.accounts == 1
    assert adopted.left[0][0] == "alice123@example.org"
    assert check_store(tmp_path / "mail").messages == 0


async def test_damaged_message_leaves_its_account_for_another_run(tmp_path: Path) -> None:
    directory = make_relay(tmp_path / "relay")
    packed = next((directory / "alice123@example.org/cur").glob("1700000002*"))
    whole = packed.read_bytes()
    packed.write_bytes(whole[:50])
    first = adopt(relay.find_accounts(directory), tmp_path / "mail", DOMAIN)
    assert "compressed and damaged" in dict(first.left)["alice123@example.org"]

    packed.write_bytes(whole)
    second = adopt(relay.find_accounts(directory), tmp_path / "mail", DOMAIN)

    assert second.messages == 4
    assert check_store(tmp_path / "mail", repair=True).faults == ()


async def test_two_messages_of_one_uid_leave_the_account_out(tmp_path: Path) -> None:
    directory = make_relay(tmp_path / "relay")
    path = directory / "alice123@example.org/dovecot-uidlist"
    path.write_text(path.read_text().replace("7 W33", "4 W33"))

    adopted = adopt(relay.find_accounts(directory), tmp_path / "mail", DOMAIN)

    assert "one UID" in dict(adopted.left)["alice123@example.org"]


async def test_accounts_of_another_domain_are_left_out(tmp_path: Path) -> None:
    adopted = adopt(relay.find_accounts(make_relay(tmp_path / "relay")), tmp_path / "mail", "example.net")
    assert adopted.accounts == 0
    assert "not one of this server" in dict(adopted.left)["alice123@example.org"]


async def test_wrong_directories_and_a_running_daemon_are_refused(tmp_path: Path) -> None:
    for kind in (relay, madmail):
        with pytest.raises(AdoptionError, match="Name the"):
            kind.find_accounts(tmp_path)
    found = relay.find_accounts(make_relay(tmp_path / "relay"))
    async with open_sqlite(tmp_path / "mail"):
        with pytest.raises(StoreStartError, match="in use"):
            adopt(found, tmp_path / "mail", DOMAIN)


def write_key(path: Path, bits: int) -> Path:
    key = generate_private_key(65_537, bits)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return path


def test_adopted_key_signs_until_the_own_ones_are_published(tmp_path: Path) -> None:
    ring_file = tmp_path / "dkim-keys.json"
    own = make_ring(NOW)
    write_ring(ring_file, own)

    adopt_key(ring_file, write_key(tmp_path / "key", 2048), "opendkim", NOW)

    ring = read_ring(ring_file)
    assert ring is not None
    assert [key.selector for key in ring.signing_keys] == ["opendkim"]
    assert ring.next_pair is not None
    assert [key.selector for key in ring.next_pair.keys] == [key.selector for key in own.signing_keys]
    with pytest.raises(KeyFileError, match="already"):
        adopt_key(ring_file, tmp_path / "key", "opendkim", NOW)


def test_useless_keys_are_refused(tmp_path: Path) -> None:
    ring_file = tmp_path / "dkim-keys.json"
    other = tmp_path / "other"
    private = Ed25519PrivateKey.generate()
    other.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyFileError, match="no RSA key"):
        adopt_key(ring_file, other, "opendkim", NOW)
    with pytest.raises(KeyFileError, match="cannot be read"):
        adopt_key(ring_file, tmp_path / "none", "opendkim", NOW)
    write_ring(ring_file, announce_next(make_ring(NOW), NOW))
    with pytest.raises(KeyFileError, match="rotating"):
        adopt_key(ring_file, write_key(tmp_path / "key", 2048), "opendkim", NOW)
    assert [pair.stage for pair in (read_ring(ring_file) or make_ring(NOW)).pairs] == [
        Stage.CURRENT,
        Stage.NEXT,
    ]


def test_command_rehearses_and_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "STATE_DIRECTORY": tmp_path / "state",
        "RUNTIME_DIRECTORY": tmp_path,
        "MAIL_DOMAIN": DOMAIN,
        "TLS_CERTIFICATE": "x",
        "TLS_KEY": "x",
        "SUPPORT_CONTACT": "mailto:help@example.org",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"MAILNODE_{name}", str(value))
    command = ["adopt", "relay", str(make_relay(tmp_path / "relay"))]
    command += ["--dkim-key", str(write_key(tmp_path / "key", 2048))]

    rehearsal, deed = CliRunner().invoke(app, command), CliRunner().invoke(app, [*command, "--go"])

    assert rehearsal.exit_code == deed.exit_code == 1, deed.output  # somebody was left out
    assert "left out: nobody99@example.org: it has no password" in rehearsal.stdout
    assert "Nothing was written" in rehearsal.stdout
    assert "2 accounts with 4 messages (0.3 MB) in 3 mailboxes are taken over." in deed.stdout
    assert (tmp_path / "state/dkim-keys.json").exists()
