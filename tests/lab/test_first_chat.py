"""What people do with Delta Chat, done by the unmodified Delta Chat core against the whole fleet."""

import secrets
from hashlib import sha256
from pathlib import Path

import pytest

from support.deltachat import Client, Core
from support.deployed_fleet import ADDRESSES
from support.lab import MAIL2_NAME, MAIL_NAME, OLD_CORE, LabFleet, OpenCore

pytestmark = [pytest.mark.lab, pytest.mark.netns]

MEMBERS = 20


def talk(one: Client, chat: int, other: Client) -> None:
    """Let one write in a chat and the other answer there; both texts are encrypted."""
    text = f"hello from {one.address} {secrets.token_hex(4)}"
    one.send(chat, text)
    heard = other.wait_for_message(text)
    other.accept(heard["chatId"])
    answer = f"hello from {other.address} {secrets.token_hex(4)}"
    other.send(heard["chatId"], answer)

    assert heard["showPadlock"]
    assert one.wait_for_message(answer)["showPadlock"]


def test_registration_by_the_printed_qr_code_and_chat_both_ways(pair: tuple[Client, Client]) -> None:
    alice, bob = pair

    talk(bob, bob.chat_with(alice.address), alice)


def test_registration_by_a_dcaccount_link_with_the_page(device: OpenCore) -> None:
    client = device().add_client()
    client.configure_by_qr(f"dcaccount:https://{MAIL_NAME}/new")

    assert client.address.endswith(f"@{MAIL_NAME}")


def test_registration_by_a_dcaccount_link_with_the_host_alone(device: OpenCore) -> None:
    client = device().add_client()
    client.configure_by_qr(f"dcaccount:{MAIL_NAME}")

    assert client.address.endswith(f"@{MAIL_NAME}")


def test_registration_by_first_login(device: OpenCore) -> None:
    client = device().add_client()
    client.configure_by_login(f"first{secrets.token_hex(3)}@{MAIL_NAME}", secrets.token_hex(12), MAIL_NAME)
    client.send(client.chat_with_self(), "note")

    client.wait_for("MsgDelivered")


@pytest.mark.parametrize("hosts", [(MAIL_NAME,), (MAIL_NAME, MAIL2_NAME)], ids=["one node", "across nodes"])
def test_group_of_twenty_hears_one_message(fleet: LabFleet, device: OpenCore, hosts: tuple[str, ...]) -> None:
    core = device("a")
    admin = core.add_client()
    admin.configure_by_qr(fleet.register()["dclogin_url"])
    others = [core.add_client() for _ in range(MEMBERS - 1)]
    group = int(admin.rpc.create_group_chat(admin.account, "twenty", False))  # noqa: FBT003 - the RPC's signature
    for number, member in enumerate(others):
        member.configure_by_qr(fleet.register(hosts[number % len(hosts)])["dclogin_url"])
        vcard = member.rpc.make_vcard(member.account, [1])
        (contact,) = admin.rpc.import_vcard_contents(admin.account, vcard)
        admin.rpc.add_contact_to_chat(admin.account, group, contact)
    text = f"to all {secrets.token_hex(4)}"
    admin.send(group, text)

    assert [member.wait_for_message(text)["text"] for member in others] == [text] * (MEMBERS - 1)


def test_ten_megabytes_arrive_unchanged(pair: tuple[Client, Client], tmp_path: Path) -> None:
    alice, bob = pair
    file = tmp_path / "photo.bin"
    file.write_bytes(secrets.token_bytes(10_000_000))
    bob.send_file(bob.chat_with(alice.address), file, "look")
    message = alice.wait_for_message()
    message_id = message["id"]
    assert message["text"].startswith("look")
    # A large file comes by itself in a second message; the app fetches it when it is asked to.
    while message["downloadState"] != "Done":
        if message["downloadState"] == "Available":
            alice.rpc.download_full_message(alice.account, message_id)
        alice.wait_for("MsgsChanged", lambda event: event["msgId"] == message_id)
        message = alice.rpc.get_message(alice.account, message_id)

    received = Path(message["file"]).read_bytes()
    assert sha256(received).digest() == sha256(file.read_bytes()).digest()


def test_second_device_of_an_account_hears_what_the_first_does(
    device: OpenCore, pair: tuple[Client, Client], tmp_path: Path
) -> None:
    alice, bob = pair
    second = add_device(alice, device("b"), tmp_path)
    text = f"to both devices {secrets.token_hex(4)}"
    bob.send(bob.chat_with(alice.address), text)
    assert alice.wait_for_message(text)
    assert second.wait_for_message(text)

    own = f"from the first device {secrets.token_hex(4)}"
    alice.send(alice.chat_with(bob.address), own)
    second.wait_for(
        "MsgsChanged",
        lambda event: (
            event["msgId"] and second.rpc.get_message(second.account, event["msgId"])["text"] == own
        ),
    )


def add_device(client: Client, core: Core, tmp_path: Path) -> Client:
    """Move a copy of an account to another device, by a backup as people do it."""
    client.rpc.set_config(client.account, "bcc_self", "1")
    backup = tmp_path / "backup"
    backup.mkdir()
    client.rpc.export_backup(client.account, str(backup), None)
    second = core.add_client()
    second.rpc.import_backup(second.account, str(next(backup.iterdir())), None)
    second.go_online()
    return second


def test_quota_is_shown(pair: tuple[Client, Client]) -> None:
    alice, _ = pair
    page = alice.rpc.get_connectivity_html(alice.account)

    assert "1 GiB" in page or "1.00 GiB" in page or "1.07 GB" in page, page[-1500:]


def test_calls_are_offered_through_all_turn_nodes(pair: tuple[Client, Client]) -> None:
    alice, bob = pair
    (server,) = alice.ice_servers()
    (other,) = bob.ice_servers()

    assert {f"turn:{ADDRESSES[host]}:3478" for host in ("turn1", "turn2")} <= set(server["urls"])
    assert server["username"] != other["username"]


@pytest.mark.parametrize("inviter", ["newest", "old"])
def test_old_and_newest_core_get_on(fleet: LabFleet, device: OpenCore, inviter: str) -> None:
    newest, old = device("a").add_client(), device("b", OLD_CORE).add_client()
    newest.configure_by_qr(fleet.register()["dclogin_url"])
    # The old one does not know what a name with an underscore means; this says it.
    old.configure_by_qr(fleet.register()["dclogin_url"] + "&ic=3")
    host, guest = (newest, old) if inviter == "newest" else (old, newest)
    chat = guest.join(host.invite())

    talk(guest, chat, host)
