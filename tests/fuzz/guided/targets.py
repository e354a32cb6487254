"""What must hold of any bytes: the targets of guided fuzzing, one function each.

For: `__main__.py`, where coverage guides what is tried, and test_guided_corpus.py, for what was found so.
Not for: inputs that must be built with care (Hypothesis, in the other directories).
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from mailnode.accounts.policy import Policy
from mailnode.encryption import mime_framing
from mailnode.encryption.errors import GateError
from mailnode.encryption.gate import check_incoming, check_outgoing
from mailnode.store.mail_store import Recipient
from support.imap_server import ALICE as ACCOUNT
from support.imap_server import SIMPLE
from support.imap_transport import Line, running_server
from support.openpgp_messages import ALICE, BOB
from support.smtp_wire import hold_dialogue

POLICY: Final = Policy(message_bytes=4_096)
TURNS = 200
SMALL_PIECE_BYTES = 67
_REPLIES = re.compile(rb"(?:(?:\d{3}-[ -~]*\r\n)*\d{3} [ -~]*\r\n)*")
_INTERNAL_ERROR = b"451 4.3.0"
_ANSWER = re.compile(rb"\* |\+ |[^ ]+ (?:OK|NO|BAD) ")
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


def check_gate(data: bytes) -> None:
    """A message passes or is refused, and the same however the work on it is cut."""
    for check in (
        check_incoming,
        partial(check_outgoing, mail_from=ALICE, recipients=[ALICE]),
        partial(check_outgoing, mail_from=ALICE, recipients=[BOB]),
    ):
        verdict = _judge(check, data)
        with _small_pieces():
            assert _judge(check, data) == verdict


def check_smtp(data: bytes) -> None:
    """A dialogue gets replies only, and the same however it is cut; the first octet says where."""
    cut, dialogue = data[:1], data[1:]
    whole = hold_dialogue([dialogue], POLICY)
    assert _REPLIES.fullmatch(whole.answers), whole.answers
    assert _INTERNAL_ERROR not in whole.answers
    place = len(dialogue) * int.from_bytes(cut) // 256
    assert hold_dialogue([dialogue[:place], dialogue[place:]], POLICY) == whole


def check_imap(data: bytes) -> None:
    """A user's session gets answers and nothing else."""
    answers = asyncio.run(_converse(data))
    assert b"SERVERBUG" not in answers
    for answer in _split_answers(answers):
        assert _ANSWER.match(answer), answer


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "gate": check_gate,
    "imap": check_imap,
    "smtp": check_smtp,
}


def _judge(check: Callable[[bytes], None], data: bytes) -> str | None:
    try:
        check(data)
    except GateError as refusal:
        return type(refusal).__name__
    return None


def _split_answers(answers: bytes) -> Iterator[bytes]:
    """Take answers apart, literals skipped: those may hold anything, line ends, too."""
    begin = end = 0
    while end < len(answers):
        line_end = answers.index(b"\r\n", end) + 2
        literal = _LITERAL.search(answers, end, line_end)
        end = line_end + (int(literal[1]) if literal else 0)
        if literal is None:
            yield answers[begin:end]
            begin = end
    assert end == len(answers), answers[begin:]


@contextmanager
def _small_pieces() -> Iterator[None]:
    usual = mime_framing.SEARCHED_AT_ONCE_BYTES
    mime_framing.SEARCHED_AT_ONCE_BYTES = SMALL_PIECE_BYTES
    try:
        yield
    finally:
        mime_framing.SEARCHED_AT_ONCE_BYTES = usual


async def _converse(data: bytes) -> bytes:
    async with running_server() as (server, store):
        line = Line(server)
        await line.log_in()
        account = await store.find_account(ACCOUNT)
        assert account is not None
        for _ in range(2):
            await store.deliver([Recipient(account.id, 1 << 20)], SIMPLE, 0)
        await line.say(b"sel SELECT INBOX\r\n", b"sel OK")
        line.protocol.data_received(data)
        for _ in range(TURNS):
            if line.transport.is_closed:
                break
            await asyncio.sleep(0)
        line.hang_up()
        assert server.session_count == 0
        return line.transport.written
