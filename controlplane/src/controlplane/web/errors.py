"""What pages refuse by themselves; all else is refused by the services.

Not for: rules of a domain (controlplane.errors).
"""

from controlplane.errors import ControlPlaneError


class BadFormError(ControlPlaneError):
    """A field of a form holds what cannot be taken. `field` is its name, empty where several do not agree."""

    status = 400
    code = "bad_form"
    public_text = "A field holds what cannot be taken. Correct it, then save again."

    def __init__(self, field: str) -> None:
        super().__init__(field=field)
        self.field = field


class BadFileError(ControlPlaneError):
    """What was to be a list of accounts is none."""

    status = 400
    code = "bad_file"
    public_text = "This is no list of accounts. Each line is an object with an address and a password."
