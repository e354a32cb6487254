"""The way out of a request that was answered before.

For: idempotency.py, which raises it, and http_errors.py, which answers with what it carries.
"""

from fastapi.responses import Response


class AnsweredBeforeError(Exception):
    """The request was answered before, and nothing is to be done; not a fault."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer
