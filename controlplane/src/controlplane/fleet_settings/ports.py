"""Where a port of the nodes is moved at run time.

For: `service.py`, which has seen that the port is a number and the setting one of ports.
Not for: what a port is called (catalogue.py).
"""

from sqlmodel import Session

from controlplane.admins.audit import Author
from controlplane.fleet_settings.catalogue import Setting
from controlplane.fleet_settings.errors import SetByAnsibleError
from controlplane.nodes.states import FleetFacts


def move_port(  # noqa: PLR0913, PLR0917 - what a change is made of
    session: Session,  # noqa: ARG001 - of the change
    facts: FleetFacts,  # noqa: ARG001 - for revisions
    author: Author,  # noqa: ARG001 - for the audit log
    node: str | None,  # noqa: ARG001 - None for the whole fleet
    setting: Setting,
    port: int | None,  # noqa: ARG001 - None for the one that Ansible has set
) -> None:
    """Refuse: ports belong to Ansible.

    Raises:
        SetByAnsibleError: In any case; it names the variable.
    """
    raise SetByAnsibleError(setting.variable or setting.name)


def read_moved_port(session: Session, node: str | None, setting: Setting) -> int | None:  # noqa: ARG001 - as above
    """Read to which port something was moved; `None` where it is where Ansible has put it."""
    return None
