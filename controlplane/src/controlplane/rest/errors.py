"""What the frame of the Admin API refuses: pages, tags and repetitions that are none.

Not for: rules of a domain (controlplane.errors).
"""

from controlplane.errors import ControlPlaneError


class BadCursorError(ControlPlaneError):
    """A page was asked for with a cursor that no answer has given, or one of another list."""

    status = 400
    code = "bad_cursor"
    public_text = "This cursor is of no use here. Take next_cursor of the last answer, or begin without one."


class BadTagError(ControlPlaneError):
    """A precondition is none."""

    status = 400
    code = "bad_tag"
    public_text = "If-Match is no list of tags. Send the ETag that you were given, as it is, or an asterisk."


class ChangedMeanwhileError(ControlPlaneError):
    """The resource is not as the client has seen it."""

    status = 412
    code = "changed_meanwhile"
    public_text = "Somebody else has changed this meanwhile. Read it again, then decide."


class KeyReusedError(ControlPlaneError):
    """An idempotency key came with another request before."""

    status = 422
    code = "key_reused"
    public_text = "This Idempotency-Key was used for another request. Make a new key for each request."


class NothingSeenError(ControlPlaneError):
    """A change does not say what the client has seen."""

    status = 428
    code = "nothing_seen"
    public_text = "Send If-Match with the ETag that you were given when you read this, or with an asterisk."
