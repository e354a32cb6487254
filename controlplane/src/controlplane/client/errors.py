"""What keeps a command from being done; each is one sentence that says what to do.

ClientError
 ├─ MisuseError                wrong address, token or file; exit code 2
 ├─ UnreachableError           nobody answers
 ├─ UntrustedError             somebody answers who cannot show that it is he
 ├─ StrangeAnswerError         what answers is no Admin API
 ├─ NameServerError            a name server does not answer, or says no
 └─ RefusedError               the control plane says no
"""


class ClientError(Exception):
    """A command cannot be done. Its text is for whoever typed it."""

    exit_code = 1


class MisuseError(ClientError):
    """What was typed, or stands in the file of `madfleet login`, cannot be right."""

    exit_code = 2


class UnreachableError(ClientError):
    """The control plane does not answer."""


class UntrustedError(ClientError):
    """The certificate is not that of a control plane that is trusted."""


class StrangeAnswerError(ClientError):
    """Something answers, but not as the Admin API does."""


class NameServerError(ClientError):
    """A name server does not answer, or does not do what it is asked to."""


class RefusedError(ClientError):
    """The control plane refuses.

    Attributes:
        status: Of the answer.
        code: Name of the reason, such as `unknown_node`; empty where the server gives none.
    """

    def __init__(self, text: str, status: int, code: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
