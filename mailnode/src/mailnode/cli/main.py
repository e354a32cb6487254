"""The command `mailnode`: the daemon, membership in a fleet, and what the node's own admin may do."""

from pathlib import Path
from typing import Annotated

import typer

from mailnode.cli.adopt_command import add_adopt_command
from mailnode.cli.exchange_commands import add_exchange_commands
from mailnode.cli.store_commands import add_store_commands
from mailnode.local_admin.commands import build_commands
from mailnode.settings import MailNodeSettings
from nodelink.channel.commands import add_membership_commands
from nodelink.contract.states import NodeKind
from nodelink.daemon.settings import read_settings_or_exit


def _read_settings() -> MailNodeSettings:
    return read_settings_or_exit(MailNodeSettings, None)


app = build_commands(lambda: _read_settings().runtime_directory)


@app.command()
def serve(
    settings: Annotated[Path | None, typer.Option(help="File of NAME=value lines.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only judge the settings.")] = False,  # noqa: FBT002 - a switch
) -> None:
    """Run the mail node until it is told to stop. Settings are MAILNODE_* variables or in a file."""
    from mailnode.daemon import run  # noqa: PLC0415 - the daemon is large, and the other commands are short

    read = read_settings_or_exit(MailNodeSettings, settings)
    if not check:
        run(read)


add_store_commands(app, _read_settings)
add_adopt_command(app, _read_settings)
add_exchange_commands(app)
add_membership_commands(app, NodeKind.MAIL, _read_settings)


def main() -> None:
    """Run the command line."""
    app()
