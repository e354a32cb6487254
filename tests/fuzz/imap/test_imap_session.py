"""Whatever a logged-in client says is answered by the protocol, and the server goes on."""

import asyncio
import re

import uvloop
from hypothesis import given
from hypothesis import strategies as st

from mailnode.imap.commands import Authenticate, Command, Plain, Verb
from mailnode.store.mail_store import Recipient
from support.imap_commands import Written, commands, cut
from support.imap_server import ALICE, SIMPLE
from support.imap_transport import Line, running_server

ENDLESS = (Verb.IDLE, Verb.LOGOUT)
WORDS = [
    b" ", b"(", b")", b'"', b"\\", b"{1}\r\n", b"{1+}\r\n", b"{9999999999+}\r\n", b"*", b":", b",", b"\r\n",
    b"\0", b"\xff", b"x1 FETCH 1:* ", b"x2 UID ", b"x3 SEARCH ", b"1:*", b"BODY[", b"]", b"x4 STORE 1 ",
    b"\r\nx5 IDLE\r\n", b"DONE\r\n", b"x6 APPEND INBOX ", b"FLAGS ", b"x7 AUTHENTICATE PLAIN\r\n",
    b"x8 SELECT INBOX\r\n", b"\\Deleted", b"x9 CLOSE\r\n",
]  # fmt: skip


def is_answered_at_once(command: Command) -> bool:
    return not isinstance(command, Authenticate) and not (
        isinstance(command, Plain) and command.verb in ENDLESS
    )


@given(
    st.lists(commands.filter(lambda written: is_answered_at_once(written[1])), min_size=1, max_size=8),
    st.data(),
)
def test_every_command_is_answered_once_and_in_order(written: list[Written], data: st.DataObject) -> None:
    stream = b"".join(b"t%d %s\r\n" % (number, wire) for number, (wire, _) in enumerate(written))
    pieces = data.draw(cut(stream + b"end NOOP\r\n"))

    answers = uvloop.run(converse(pieces, b"\r\nend "))
    tags = re.findall(rb"^t(\d+) (?:OK|NO|BAD) [^\r\n]+\r$", b"\n" + answers, re.MULTILINE)
    assert tags == [b"%d" % number for number in range(len(written))]
    assert b"SERVERBUG" not in answers


@given(st.lists(st.sampled_from(WORDS), max_size=25).map(b"".join), st.data())
def test_garbage_gets_protocol_answers_only(stream: bytes, data: st.DataObject) -> None:
    answers = uvloop.run(converse(data.draw(cut(stream)), b"never"))

    assert b"SERVERBUG" not in answers
    for line in answers.split(b"\r\n")[:-1]:
        assert re.match(rb"\* |\+ |[^ ]+ (?:OK|NO|BAD) |[^ ]*\)$|From: |Subject: |Text|$", line), line


async def converse(pieces: list[bytes], expected: bytes) -> bytes:
    """Say bytes to a server with two messages; return all that it answers."""
    async with running_server() as (server, store):
        line = Line(server)
        await line.log_in()
        account = await store.find_account(ALICE)
        assert account is not None
        for _ in range(2):
            await store.deliver([Recipient(account.id, 1 << 20)], SIMPLE, 0)
        answers = await line.say(b"sel SELECT INBOX\r\n", b"sel OK")
        assert b"* 2 EXISTS" in answers
        for piece in pieces:
            line.protocol.data_received(piece)
        for _ in range(200):
            if expected in b"\r\n" + line.transport.written or line.transport.is_closed:
                break
            await asyncio.sleep(0)
        line.hang_up()
        assert server.session_count == 0
        return line.transport.written
