"""Our DKIM and dkimpy say the same of mails that were changed in every way, or ours is the stricter."""

import asyncio
import os
import random
from collections import Counter

import pytest

from mailnode.dkim.errors import DkimError, NoValidSignatureError
from mailnode.dkim.verification import verify
from support.dkim_mails import DOMAIN, ask_oracle, look_up, mutate, now, signed_mails

MUTATIONS = int(os.environ.get("DKIM_MUTATIONS", "2000"))
STRICTER = {
    "a part of the body is signed only": "l= leaves an end that anybody may write",
    "the header does not end, or is too large": "a mail that was cut off",
}
"""What is refused though dkimpy takes it, and why."""


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
            verdicts["stricter"] += 1
        else:
            assert theirs is not bool(ours), (ours, theirs, mutation)
            verdicts["valid" if theirs else "invalid"] += 1
    assert verdicts["valid"] > MUTATIONS / 20
    assert verdicts["invalid"] > MUTATIONS / 5
    assert verdicts["stricter"] < MUTATIONS / 10
