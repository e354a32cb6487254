"""Why a request is refused, and what HTTP says about it.

For: the one handler that answers all of them (app.py).
Not for: the sentences that people read (texts.py).
"""

from enum import StrEnum


class Refusal(StrEnum):
    """A reason, named for the visitor."""

    CLOSED = "closed"
    TOKEN_NEEDED = "token_needed"  # noqa: S105 - a reason
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a reason
    TOKEN_ELSEWHERE = "token_elsewhere"  # noqa: S105 - a reason
    TOO_MANY_TOKENS = "too_many_tokens"
    TOKEN_UNJUDGED = "token_unjudged"  # noqa: S105 - a reason
    CROSS_SITE = "cross_site"
    NOT_FOUND = "not_found"
    WRONG_METHOD = "wrong_method"
    TOO_LARGE = "too_large"
    UNAVAILABLE = "unavailable"
    MALFORMED = "malformed"
    FAILED = "failed"


STATUS = {
    Refusal.CLOSED: 403,
    Refusal.TOKEN_NEEDED: 403,
    Refusal.TOKEN_REFUSED: 403,
    Refusal.TOKEN_ELSEWHERE: 403,
    Refusal.TOO_MANY_TOKENS: 429,
    Refusal.TOKEN_UNJUDGED: 503,
    Refusal.CROSS_SITE: 403,
    Refusal.NOT_FOUND: 404,
    Refusal.WRONG_METHOD: 405,
    Refusal.TOO_LARGE: 413,
    Refusal.UNAVAILABLE: 503,
    Refusal.MALFORMED: 400,
    Refusal.FAILED: 500,
}

_BY_STATUS = {404: Refusal.NOT_FOUND, 405: Refusal.WRONG_METHOD}


class RefusedError(Exception):
    """A request is refused for `refusal`."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


def find_refusal(status: int) -> Refusal:
    """Find the reason behind a status that the framework chose."""
    return _BY_STATUS.get(status, Refusal.MALFORMED)
