"""Why a message's origin is not believed.

DkimError
├── NoSignatureError        554 5.7.1   it has no signature at all
├── NoValidSignatureError   554 5.7.1   none of the domain of From holds
├── KeyUnavailableError     451 4.7.5   the key cannot be looked up now: try again later
├── MalformedError                      a field or record is none; never leaves this package
└── KeyFileError                        the node's own keys are damaged
"""

from typing import ClassVar


class DkimError(Exception):
    """Whatever is wrong with a signature. `public_text` is told to whoever sent the message."""

    public_text: ClassVar[str] = "No valid DKIM signature found"


class NoSignatureError(DkimError):
    """There is no DKIM-Signature field."""

    public_text = "No DKIM signature found"


class NoValidSignatureError(DkimError):
    """No signature of the domain of From holds; `str()` says why, for the log."""


class KeyUnavailableError(DkimError):
    """No public key could be looked up, which may change."""

    public_text = "The DKIM key cannot be looked up now, try again later"


class MalformedError(DkimError):
    """A field or record cannot be read."""


class KeyFileError(DkimError):
    """The node's own keys are damaged; the text names the file and the remedy."""
