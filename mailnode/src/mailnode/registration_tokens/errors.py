"""Why a registration token makes no account; the page says it in the visitor's language.

TokenError
├── TokenNeededError       whoever registers here must have one, and none was shown
├── TokenRefusedError      unknown, used up or expired: not told apart
├── TokenElsewhereError    good, but at another page
├── TooManyTokensError     too many wrong ones came from that address
└── TokenUnjudgedError     the control plane does not answer: try again later
"""


class TokenError(Exception):
    """A registration token makes no account."""


class TokenNeededError(TokenError):
    """Only who has a token gets an account here, and none was shown."""


class TokenRefusedError(TokenError):
    """The token is unknown, used up or expired."""


class TokenElsewhereError(TokenError):
    """The token is for the page at `origin`; `None` where that is not known."""

    def __init__(self, origin: str | None) -> None:
        super().__init__(origin)
        self.origin = origin


class TooManyTokensError(TokenError):
    """Too many wrong tokens came from one address."""


class TokenUnjudgedError(TokenError):
    """The control plane could not be asked; nothing is counted if it was not reached."""
