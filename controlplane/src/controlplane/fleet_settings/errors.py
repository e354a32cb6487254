"""Why a setting is not changed.

Not for: policy's own limits on numbers, which values.py turns into `BadValueError`.
"""

from controlplane.errors import ControlPlaneError


class UnknownSettingError(ControlPlaneError):
    """There is no setting or service of this name."""

    status = 404
    code = "unknown_setting"
    public_text = "There is nothing of this name to set. GET /settings and GET /services list what there is."


class SetByAnsibleError(ControlPlaneError):
    """It belongs to the hosts."""

    status = 400
    code = "set_by_ansible"
    public_text = "set by Ansible: the variable is named; change it in the inventory and deploy."

    def __init__(self, variable: str) -> None:
        super().__init__(variable=variable)
        self.variable = variable

    @property
    def text(self) -> str:
        """Name the variable."""
        return f"set by Ansible: {self.variable}"


class ClosedPortError(ControlPlaneError):
    """A port is to be moved to one that Ansible has not opened."""

    status = 400
    code = "port_closed"
    public_text = "This port is not open. Add it to the variable that is named and run the playbook."

    def __init__(self, port: int | None, variable: str) -> None:
        super().__init__(port=port, variable=variable)
        self.port = port
        self.variable = variable

    @property
    def text(self) -> str:
        """Name the variable."""
        return f"port {self.port} is not open on every node concerned: add it to {self.variable} and deploy"


class NotOfferedError(ControlPlaneError):
    """This version does not have it."""

    status = 400
    code = "not_offered"
    public_text = "not offered: this fleet does not have it, so it stays as it is."

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.name = name

    @property
    def text(self) -> str:
        """Name what is not there."""
        return f"not offered: this fleet has no {self.name}"


class FleetWideError(ControlPlaneError):
    """A node cannot differ in it."""

    status = 400
    code = "fleet_wide"
    public_text = "This is the same on every node. Change it for the whole fleet."


class BadValueError(ControlPlaneError):
    """It is no value of this setting."""

    status = 400
    code = "bad_value"
    public_text = "This is no value of the setting; the answer says which are."

    def __init__(self, demand: str) -> None:
        super().__init__()
        self.demand = demand

    @property
    def text(self) -> str:
        """Say what a value is. What was sent is not repeated: it may be a secret."""
        return f"invalid value: {self.demand}"
