"""Why a message does not pass the gate.

    GateError
    ├── UnencryptedError   it is not encrypted, and no message that may go without
    └── WrongFromError     it is encrypted, and names another author than its sender

Each carries `public_text`, which `str()` gives, too, and `detail` for the log: told to the sender, the
detail would teach how to get past the gate.
"""

from typing import ClassVar


class GateError(Exception):
    """Whatever keeps a message from passing."""

    code: ClassVar[str]

    def __init__(self, public_text: str, detail: str) -> None:
        super().__init__(public_text)
        self.public_text = public_text
        self.detail = detail


class UnencryptedError(GateError):
    """The message is not encrypted. Delta Chat looks for the words of the text and explains them."""

    code = "not_encrypted"
    PUBLIC_TEXT: ClassVar[str] = "Encryption Needed: Invalid Unencrypted Mail"

    def __init__(self, detail: str) -> None:
        super().__init__(self.PUBLIC_TEXT, detail)


class WrongFromError(GateError):
    """The From field is not exactly one address, or not that of the sender."""

    code = "wrong_from"
