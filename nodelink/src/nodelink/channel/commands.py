"""The commands by which a node becomes one of a fleet; every node's command line has them."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from nodelink.channel.node_files import NodeFileError
from nodelink.channel.node_settings import NodeSettings
from nodelink.contract.enrolment import Enrolment, read_join_token
from nodelink.contract.errors import ContractError
from nodelink.contract.states import NodeKind
from nodelink.daemon.settings import EXIT_BAD_CONFIGURATION


def add_membership_commands(app: typer.Typer, kind: NodeKind, settings: Callable[[], NodeSettings]) -> None:
    """Add `identity`, `join` and `enrol` to a node's command line."""

    @app.command()
    def identity() -> None:
        """Print the node's public key, for `madfleet enrol`; make the key if there is none yet."""
        try:
            typer.echo(settings().open_node_files().load_identity().public.x)
        except NodeFileError as error:
            _refuse(error)

    @app.command()
    def join(
        token: Annotated[str, typer.Argument(help="The join token; `-` reads it from standard input.")],
    ) -> None:
        """Become a node of the fleet that has issued a join token. The token can be used once."""
        from nodelink.channel.joining import JoinError, join_fleet  # noqa: PLC0415 - httpx would slow every start down

        read = settings()
        try:
            text = sys.stdin.read() if token == "-" else token  # noqa: S105 - a dash is no secret
            enrolment = join_fleet(
                read.open_node_files(), kind, read_join_token(text), read.controlplane_ca_file
            )
        except (ContractError, JoinError, NodeFileError) as error:
            _refuse(error)
        _confirm(enrolment)

    @app.command()
    def enrol(
        file: Annotated[
            Path, typer.Argument(help="What `madfleet enrol` has written; `-` reads it from standard input.")
        ],
    ) -> None:
        """Become a node of the fleet whose admin has recorded this node's key.

        A node that follows this control plane already is left as it is. One that has lost it, because it was
        restored from a backup older than its key, obeys it again.
        """
        from nodelink.channel.joining import JoinError, read_enrolment_file  # noqa: PLC0415 - httpx would slow every start down

        try:
            enrolment = read_enrolment_file(file, kind)
            files = settings().open_node_files()
            if files.is_following(enrolment):
                typer.echo(f"This is node {enrolment.node} of {enrolment.url} already. Nothing has changed.")
                return
            files.keep_enrolment(enrolment)
        except (JoinError, NodeFileError) as error:
            _refuse(error)
        _confirm(enrolment)


def _confirm(enrolment: Enrolment) -> None:
    typer.echo(f"This is now node {enrolment.node} of {enrolment.url}. Restart the service to connect it.")


def _refuse(error: Exception) -> NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(EXIT_BAD_CONFIGURATION)
