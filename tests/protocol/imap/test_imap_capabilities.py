"""What is offered works."""

import pytest

from support.imap_server import ImapSite

pytestmark = pytest.mark.anyio

COMMANDS: dict[bytes, list[bytes]] = {
    b"IMAP4rev1": [
        b"NOOP",
        b"CAPABILITY",
        b"SELECT INBOX",
        b"EXAMINE INBOX",
        b"CREATE a",
        b"RENAME a b",
        b"DELETE b",
        b"SUBSCRIBE INBOX",
        b"UNSUBSCRIBE INBOX",
        b'LIST "" *',
        b'LSUB "" *',
        b"STATUS INBOX (MESSAGES)",
        b"SELECT INBOX",
        b"APPEND INBOX {1+}\r\nx",
        b"CHECK",
        b"SEARCH ALL",
        b"FETCH 1 FULL",
        b"STORE 1 FLAGS (\\Deleted)",
        b"COPY 1 INBOX",
        b"UID FETCH 1 FLAGS",
        b"EXPUNGE",
        b"CLOSE",
    ],
    b"LITERAL+": [b"STATUS {5+}\r\nINBOX (MESSAGES)"],
    b"ID": [b'ID ("name" "Delta Chat")', b"ID NIL"],
    b"ENABLE": [b"ENABLE CONDSTORE"],
    b"NAMESPACE": [b"NAMESPACE"],
    b"CHILDREN": [b'LIST "" %'],
    b"UNSELECT": [b"SELECT INBOX", b"UNSELECT"],
    b"UIDPLUS": [b"SELECT INBOX", b"UID EXPUNGE 1:*"],
    b"MOVE": [b"SELECT INBOX", b"UID MOVE 1:* INBOX"],
    b"QUOTA": [b"GETQUOTAROOT INBOX"],
    b"QUOTA=RES-STORAGE": [b"GETQUOTA ROOT"],
    b"METADATA": [b'GETMETADATA "" /shared/admin', b'SETMETADATA "" (/private/a "b")'],
    b"IDLE": [b"IDLE\r\nDONE"],
    b"XCHATMAIL": [],  # a fact, no command
}


async def test_every_capability_of_users_has_its_commands_at_work(site: ImapSite) -> None:
    client = await site.user()
    (line,) = await client.ok(b"CAPABILITY")
    offered = line.removeprefix(b"* CAPABILITY ").split()

    assert set(offered) == set(COMMANDS)
    for name in offered:
        for command in COMMANDS[name]:
            await client.ok(command)


@pytest.mark.parametrize("command", [b"COMPRESS DEFLATE", b"SORT (DATE) UTF-8 ALL", b"UID"])
async def test_what_is_not_offered_is_bad(site: ImapSite, command: bytes) -> None:
    client = await site.user()

    assert (await client.refused(command)).startswith(b"BAD")
