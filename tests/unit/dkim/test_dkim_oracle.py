"""Our DKIM and dkimpy say the same of mails that were changed in every way, or ours is the stricter."""

import asyncio
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from mailnode.dkim.errors import DkimError, NoValidSignatureError
from mailnode.dkim.verification import verify
from support.dkim_mails import DOMAIN, ask_oracle, look_up, mutate, now, signed_mails

MUTATIONS = int(os.environ.get("DKIM_MUTATIONS", "2000"))


def has_open_end(mail: bytes) -> bool:
    """Tell whether anybody may go on writing, as `l=` allows."""
    return ask_oracle(mail + b"\r\nadded\r\n")


def has_open_header(mail: bytes) -> bool:
    """Tell whether no empty line ends the header: the mail was cut off, or its lines end with LF alone."""
    return b"\r\n\r\n" not in mail


def has_stray_line_end_in_header(mail: bytes) -> bool:
    """Tell whether CR or LF stands alone: some see a line end there where others see none."""
    return re.search(rb"\r(?!\n)|(?<!\r)\n", mail.partition(b"\r\n\r\n")[0]) is not None


def has_stray_line_feed_in_body(mail: bytes) -> bool:
    """Tell whether a line of the body ends with LF alone: dkimpy hashes it as CRLF."""
    return re.search(rb"(?<!\r)\n", mail.partition(b"\r\n\r\n")[2]) is not None


STRICTER: Mapping[str, Callable[[bytes], bool]] = {
    "a part of the body is signed only": has_open_end,
    "the header does not end, or is too large": has_open_header,
    "a line of the header is no field, or there are too many": has_stray_line_end_in_header,
    "the body is another one": has_stray_line_feed_in_body,
}
"""Why a mail may be refused that dkimpy takes, and what such a mail must have."""


def judge(mail: bytes) -> str:
    """Verify; return why not, or nothing."""
    try:
        asyncio.run(verify(mail, DOMAIN, look_up, now()))
    except NoValidSignatureError as error:
        return str(error)
    except DkimError as error:
        return type(error).__name__
    return ""


@pytest.mark.timeout(120)
def test_mutated_mails_are_judged_as_by_dkimpy() -> None:
    draw = random.Random(6376)
    mails = signed_mails()
    verdicts: Counter[str] = Counter()
    for number in range(MUTATIONS):
        mutation = mutate(mails[number % len(mails)], draw)
        ours, theirs = judge(mutation.mail), ask_oracle(mutation.mail)
        if theirs and ours:
            assert ours in STRICTER, (ours, mutation)
            assert STRICTER[ours](mutation.mail), (ours, mutation)
            verdicts[ours] += 1
        else:
            assert theirs is not bool(ours), (ours, theirs, mutation)
            verdicts["valid" if theirs else "invalid"] += 1
    assert verdicts["valid"] > MUTATIONS / 20
    assert verdicts["invalid"] > MUTATIONS / 5
    assert verdicts.keys() >= STRICTER.keys()
