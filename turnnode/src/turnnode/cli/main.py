"""The command `turnnode`: the daemon, membership in a fleet, and test calls."""

from pathlib import Path
from typing import Annotated

import typer

from nodelink.channel.commands import add_membership_commands
from nodelink.contract.states import NodeKind
from nodelink.daemon.handover_wire import HandoverError
from nodelink.daemon.settings import read_settings_or_exit, refuse_configuration
from nodelink.daemon.succession import fork_successor
from turnnode.listening import list_relay_addresses
from turnnode.probe.command import probe
from turnnode.relay.egress_guard import EgressFacts, write_rules
from turnnode.settings import TurnNodeSettings

app = typer.Typer(
    name="turnnode",
    help="A TURN server for the calls of Delta Chat.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they show local variables, and with them secrets
)


def _read_settings() -> TurnNodeSettings:
    return read_settings_or_exit(TurnNodeSettings, None)


@app.command()
def serve(
    settings: Annotated[Path | None, typer.Option(help="File of NAME=value lines.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only judge the settings.")] = False,  # noqa: FBT002 - a switch
) -> None:
    """Run the TURN node until it is told to stop. Settings are TURNNODE_* variables or in a file."""
    from turnnode.daemon import run  # noqa: PLC0415 - the daemon is large, and the other commands are short

    read = read_settings_or_exit(TurnNodeSettings, settings)
    if not check:
        run(read)


@app.command("take-over")
def take_over(
    settings: Annotated[Path | None, typer.Option(help="File of NAME=value lines.")] = None,
) -> None:
    """Run the TURN node in place of the one that runs, with all its calls. `systemctl reload` does this."""
    from turnnode.daemon import run  # noqa: PLC0415 - as above

    try:
        succession = fork_successor()
    except HandoverError as error:
        refuse_configuration(str(error))
    run(read_settings_or_exit(TurnNodeSettings, settings), succession)


@app.command("egress-rules")
def egress_rules(
    settings: Annotated[Path | None, typer.Option(help="File of NAME=value lines.")] = None,
    user: Annotated[str, typer.Option(help="The user that the service runs as.")] = "turnnode",
) -> None:
    """Print nftables rules that keep relayed data from all that is not globally routable."""
    read = read_settings_or_exit(TurnNodeSettings, settings)
    relay_addresses = list_relay_addresses(read)
    facts = EgressFacts(
        user=user,
        first_port=read.relay_port_min,
        last_port=read.relay_port_max,
        own_hosts=frozenset(host for each in relay_addresses for host in (each.bound, each.published)),
        allow=read.peer_allow,
    )
    typer.echo(write_rules(facts), nl=False)


app.command()(probe)
add_membership_commands(app, NodeKind.TURN, _read_settings)


def main() -> None:
    """Run the command line."""
    app()
