"""The command `turnnode probe`.

For: people, monitoring and tests: it prints what a call through a TURN node was like, and its exit code says
whether that is good enough.
Not for: the call itself (sides.py).
"""

import asyncio
import json
import logging
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from turnnode.errors import ProbeFailedError
from turnnode.probe.access import IcePolicy, Load, TurnAccess, server_of
from turnnode.probe.results import CallResult
from turnnode.relay.credentials import password_of

EXIT_FAILED = 1
EXIT_BAD_USAGE = 2
MINTED_SECONDS = 86_400


class Role(StrEnum):
    """Which side of the call this process is."""

    BOTH = "both"
    OFFER = "offer"
    ANSWER = "answer"


def probe(  # noqa: PLR0913, PLR0917 - each is an option of the command
    url: Annotated[str, typer.Argument(help="The TURN node, as apps get it: turn:HOST:PORT")],
    username: Annotated[str, typer.Option(help="User name of the credentials.")] = "",
    password: Annotated[str, typer.Option(help="Password of the credentials.")] = "",
    secret_file: Annotated[
        Path | None, typer.Option(help="File with the fleet's TURN secret, to make credentials with.")
    ] = None,
    policy: Annotated[
        IcePolicy, typer.Option(help="`relay`: only through the TURN node. `all`: any way.")
    ] = IcePolicy.RELAY,
    role: Annotated[
        Role, typer.Option(help="`offer` and `answer` are two processes; connect stdout to stdin both ways.")
    ] = Role.BOTH,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long to speak.")] = 5,
    packets_per_second: Annotated[int, typer.Option(min=1, max=1000, help="Data packets.")] = 50,
    deadline_seconds: Annotated[float, typer.Option(min=1, max=120, help="Time to connect.")] = 20,
    max_loss_percent: Annotated[float, typer.Option(min=0, max=100, help="More than that fails.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,  # noqa: FBT002 - a switch
) -> None:
    """Make a test call through a TURN node and print connect time, round trips and loss."""
    load = Load(
        seconds=seconds, packets_per_second=packets_per_second, connect_deadline_seconds=deadline_seconds
    )
    for chatty in ("aioice", "aiortc"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    try:
        server_of(url)
        access = read_access(url, username, password, secret_file)
        result = asyncio.run(_play(role, access, policy, load))
    except ProbeFailedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_FAILED) from error
    if result is None:
        return
    typer.echo(json.dumps(result.as_json()) if as_json or role is Role.OFFER else result.as_text())
    if result.loss_percent > max_loss_percent:
        typer.echo(
            f"{result.loss_percent:.2f} % of the packets were lost, more than {max_loss_percent:g} %. "
            "Look at the node's load, its counters and the way to it.",
            err=True,
        )
        raise typer.Exit(EXIT_FAILED)


def read_access(url: str, username: str, password: str, secret_file: Path | None) -> TurnAccess:
    """Return the credentials that were given, or make some with the secret.

    Raises:
        ProbeFailedError: There are neither, or the secret cannot be read.
    """
    if username and password:
        return TurnAccess(url=url, username=username, password=password)
    if secret_file is None:
        raise ProbeFailedError("There are no credentials. Give --username and --password, or --secret-file.")
    try:
        secret = secret_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ProbeFailedError(f"{secret_file} cannot be read. Check its name and its owner.") from error
    minted = str(int(time.time()) + MINTED_SECONDS)
    return TurnAccess(url=url, username=minted, password=password_of(secret, minted))


async def _play(role: Role, access: TurnAccess, policy: IcePolicy, load: Load) -> CallResult | None:
    """Be one side or both; the callee has no result of its own, the caller's has all."""
    from turnnode.probe.sides import be_called, call, call_oneself  # noqa: PLC0415 - aiortc: only who calls waits
    from turnnode.probe.signalling import open_standard_wire  # noqa: PLC0415 - goes with it

    if role is Role.BOTH:
        return await call_oneself(access, policy, load)
    wire = await open_standard_wire()
    if role is Role.OFFER:
        return await call(wire, access, policy, load)
    await be_called(wire, access, policy, load)
    return None
