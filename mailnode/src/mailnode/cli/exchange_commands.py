"""The commands `mailnode exchange …`: an exchanger, which is no node of a fleet."""

from pathlib import Path
from typing import Annotated

import typer

from mailnode.exchange.domains import read_domain
from mailnode.exchange.settings import ExchangeSettings
from mailnode.exchange.tokens import digest_token, make_token
from nodelink.daemon.settings import read_settings_or_exit, refuse_configuration


def add_exchange_commands(app: typer.Typer) -> None:
    """Add `exchange serve` and `exchange token` to the command line."""
    group = typer.Typer(
        name="exchange",
        help="An exchanger: mail waits here, or passes, between servers that cannot reach one another.",
        no_args_is_help=True,
    )

    @group.command()
    def serve(
        settings: Annotated[Path | None, typer.Option(help="File of NAME=value lines.")] = None,
        check: Annotated[bool, typer.Option("--check", help="Only judge the settings.")] = False,  # noqa: FBT002 - a switch
    ) -> None:
        """Run the exchanger until it is told to stop. Settings are EXCHANGE_* variables or in a file."""
        from mailnode.exchange.daemon import run  # noqa: PLC0415 - the daemon is large, the others are short

        read = read_settings_or_exit(ExchangeSettings, settings)
        if not check:
            run(read)

    @group.command()
    def token(
        domain: Annotated[str, typer.Argument(help="The mail domain whose server is to fetch its mail.")],
    ) -> None:
        """Make the token of a domain, and what the settings hold of it. Nothing is stored."""
        try:
            name = read_domain(domain)
        except ValueError as error:
            refuse_configuration(f"{error}.")
        made = make_token()
        typer.echo(f"Token, for the server of {name}; it is shown this once:\n  {made}")
        typer.echo(f"Setting, for EXCHANGE_KEPT of this exchanger:\n  {name}={digest_token(made)}")

    app.add_typer(group)
