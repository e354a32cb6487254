"""The command line of the client: every command that goes through the Admin API.

Not for: commands that touch the database, which are added on the control plane's host (cli/main.py).
"""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from controlplane.client.account_commands import accounts, add_account_commands
from controlplane.client.account_file_commands import add_account_file_commands
from controlplane.client.admin_commands import add_admin_commands
from controlplane.client.audit_commands import add_audit_commands
from controlplane.client.dns_commands import add_dns_commands
from controlplane.client.errors import ClientError
from controlplane.client.exchanger_commands import add_exchanger_commands
from controlplane.client.federation_commands import add_federation_commands
from controlplane.client.fleet_commands import add_fleet_commands
from controlplane.client.group_commands import add_group_commands
from controlplane.client.health_commands import add_health_commands
from controlplane.client.invitation_commands import add_invitation_commands
from controlplane.client.login_commands import add_login_commands
from controlplane.client.mail_commands import add_mail_commands
from controlplane.client.node_commands import add_node_commands
from controlplane.client.operation_commands import add_operation_commands
from controlplane.client.output import make_printable
from controlplane.client.policy_commands import add_policy_commands
from controlplane.client.port_commands import add_port_commands
from controlplane.client.settings_commands import add_settings_commands
from controlplane.client.turn_commands import add_turn_commands
from controlplane.client.webhook_commands import add_webhook_commands

UrlOption = Annotated[
    str | None, typer.Option("--url", envvar="MADFLEET_URL", help="Address of the control plane.")
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="MADFLEET_TOKEN",
        help="Admin token. Others here can see what is typed; better use the variable, or `login`.",
    ),
]
CaOption = Annotated[
    str | None,
    typer.Option("--ca", envvar="MADFLEET_CA", help="File with the certificates to trust, in PEM form."),
]


def create_app() -> typer.Typer:
    """Build the command line, without its options."""
    app = typer.Typer(
        name="madfleet",
        help="Steer a fleet of chat servers.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    add_login_commands(app)
    add_fleet_commands(app)
    add_health_commands(app)
    add_node_commands(app)
    add_group_commands(app)
    add_port_commands(app)
    add_turn_commands(app)
    add_policy_commands(app)
    add_federation_commands(app)
    add_exchanger_commands(app)
    add_dns_commands(app)
    add_webhook_commands(app)
    add_settings_commands(app)
    add_invitation_commands(app)
    add_account_commands(app)
    add_account_file_commands(accounts)
    add_mail_commands(app)
    add_operation_commands(app)
    add_admin_commands(app)
    add_audit_commands(app)
    return app


def run(app: Callable[[], object]) -> None:
    """Run one command; what goes wrong at the control plane is one sentence and an exit code."""
    try:
        app()
    except ClientError as error:
        sys.stderr.write(make_printable(str(error)) + "\n")
        raise SystemExit(error.exit_code) from error
