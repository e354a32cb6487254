"""The command line `madfleet`.

Exit codes: 0 done; 1 refused, with one sentence that says what to do; 2 wrong usage or wrong configuration.
Not for: single commands (client/, and host_commands.py where the server is installed).
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from controlplane.client.connection import Connector
from controlplane.client.main import CaOption, TokenOption, UrlOption, create_app, run
from controlplane.client.target import Target

SERVER_IS_INSTALLED = find_spec("sqlmodel") is not None

app = create_app()

SettingsOption = Annotated[
    Path | None,
    typer.Option(envvar="MADFLEET_SETTINGS", help="Settings file of the control plane, on its own host."),
]


@app.callback()
def set_up(
    context: typer.Context,
    settings: SettingsOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    ca: CaOption = None,
) -> None:
    """Steer a fleet of chat servers: from anywhere after `madfleet login`, or on the control plane's host.

    On that host no login is needed; its settings are those of the daemon `controlplane`: CONTROLPLANE_... in
    the environment, or a file.
    """

    def find_host() -> Target | None:
        if not SERVER_IS_INSTALLED:
            return None
        from controlplane.cli.host_target import find_host_target  # noqa: PLC0415 - where there is a server

        return find_host_target(settings)

    context.obj = Connector(url, token, ca, find_host)


if SERVER_IS_INSTALLED:
    from controlplane.cli.host_commands import add_host_commands, refuse_on_host

    add_host_commands(app)


def main() -> None:
    """Run one command."""
    if SERVER_IS_INSTALLED:
        with refuse_on_host():
            run(app)
    else:
        run(app)


if __name__ == "__main__":
    main()
