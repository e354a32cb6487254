"""What is wrong with something that came from the other side.

ContractError
├── UnsignedError       a signature that does not hold, or by a key that is not trusted
├── MisaddressedError   signed rightly, but for somebody else, or for another time
└── MalformedError      not what the contract says
"""


class ContractError(Exception):
    """The other side said something that the contract does not allow; the text is safe to log."""


class UnsignedError(ContractError):
    """The signature does not hold, or its key is not trusted."""


class MisaddressedError(ContractError):
    """It is signed, but meant for another node, another purpose or another time."""


class MalformedError(ContractError):
    """It cannot be read."""
