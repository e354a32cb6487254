"""What is refused about ports, and what a client is told.

    ControlPlaneError
    ├── MailPortClosedError     400
    ├── TurnPortClosedError     400
    ├── TurnPortSilentError     400
    ├── WrongPortError          409
    ├── PortsUnknownError       409
    └── PortTakenError          409

For: the rules of ports.py. http_errors.py answers with them.
"""

from controlplane.errors import ControlPlaneError


class MailPortClosedError(ControlPlaneError):
    """A mail port is to be moved to one that Ansible has not opened."""

    status = 400
    code = "port_closed"
    public_text = (
        "This port is not open on the mail node. Add it to mailnode_alternate_ports and run the playbook."
    )


class TurnPortClosedError(ControlPlaneError):
    """The TURN port is to be moved to one that Ansible has not opened."""

    status = 400
    code = "port_closed"
    public_text = (
        "This port is not open on the TURN node. Add it to turnnode_alternate_ports and run the playbook."
    )


class TurnPortSilentError(ControlPlaneError):
    """Apps are to be told a port at which TURN is not to be had."""

    status = 400
    code = "turn_port_silent"
    public_text = (
        "No TURN node takes clients at this UDP port. Add it to turnnode_other_udp_ports and run the "
        "playbook, or choose a port that `GET /turn` lists, or 0 for the one that TURN nodes name."
    )


class WrongPortError(ControlPlaneError):
    """A port is to be moved that nodes of that kind do not have."""

    status = 409
    code = "wrong_port"
    public_text = "Nodes of this kind have no such port. Their ports are listed with where they are."


class PortsUnknownError(ControlPlaneError):
    """A node has not said which ports are open on its host."""

    status = 409
    code = "ports_unknown"
    public_text = (
        "The node has not said which ports are open on its host. Wait until it is connected; one of an older "
        "version must be upgraded."
    )


class PortTakenError(ControlPlaneError):
    """Two services would listen at one port."""

    status = 409
    code = "port_taken"
    public_text = "Another service of the node has this port. Move that one first, or choose another port."
