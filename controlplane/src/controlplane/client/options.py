"""Options and arguments that several commands share, and how people write amounts and times.

Not for: rules; the control plane has those, and what it refuses is told in its own words.
"""

import re
from pathlib import Path
from typing import Annotated

import typer

from controlplane.client.errors import MisuseError
from controlplane.policy.quantities import parse_size

SMALLEST_QUOTA_BYTES = 1 << 20
LARGEST_QUOTA_BYTES = 1 << 50
SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
FLEET = "fleet"

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,6}) ?([mhdw])", re.ASCII)


def is_name(text: str) -> bool:
    """Tell whether a node or group can be called this."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str | None) -> str | None:
    """Refuse what is no name of a node or group."""
    if name is not None and not is_name(name):
        raise typer.BadParameter("names of nodes and groups are DNS labels: a-z, 0-9 and -, such as mail1")
    return name


def parse_seconds(text: str) -> int | None:
    """Read a time such as `30d` or `12h` in seconds; `None` for what is none."""
    match = _DURATION.fullmatch(text.strip().lower())
    return None if match is None else int(match[1]) * SECONDS[match[2]]


def check_duration(text: str | None) -> str | None:
    """Refuse what is no time, or none at all."""
    if text is not None and not parse_seconds(text):
        raise typer.BadParameter("a time is a number of m, h, d or w, such as 12h or 30d")
    return text


def check_size(text: str | None) -> str | None:
    """Refuse what is no amount of bytes."""
    if text is not None and text != FLEET and parse_size(text) is None:
        raise typer.BadParameter("an amount is such as 500M or 2G")
    return text


def check_quota(text: str) -> str:
    """Refuse what is no quota."""
    size_bytes = parse_size(text)
    is_quota = size_bytes is not None and SMALLEST_QUOTA_BYTES <= size_bytes <= LARGEST_QUOTA_BYTES
    if text != FLEET and not is_quota:
        raise typer.BadParameter("a quota is an amount such as 500M or 2G, from 1M to 1024T")
    return text


def read_input(path: Path, max_bytes: int) -> str:
    """Read a file of an operator's, or standard input for `-`. Raises: MisuseError."""
    try:
        if str(path) == "-":
            content = typer.get_binary_stream("stdin").read(max_bytes + 1)
        else:
            with path.open("rb") as file:
                content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise MisuseError(f"{path} is larger than {max_bytes >> 20} MiB. Split it.")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise MisuseError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise MisuseError(f"{path} is no text in UTF-8. Convert it.") from error


def has_command(context: typer.Context) -> bool:
    """Tell whether a command follows, for groups of commands that list something when they stand alone.

    Raises:
        typer.BadParameter: An option stands before that command, which does not see it: what is meant for one
            node would be done to all.
    """
    if context.invoked_subcommand is None:
        return False
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name) if parameter.name else None
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                f"write it behind the command: {context.command_path} {context.invoked_subcommand} "
                f"… {parameter.opts[0]}",
                param_hint=f"'{parameter.opts[0]}'",
            )
    return True


def confirm(question: str, *, is_sure: bool) -> None:
    """Ask before something that cannot be undone, unless the operator has said that he is sure."""
    if not is_sure:
        typer.confirm(question, abort=True, err=True)


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
NodeArgument = Annotated[str, typer.Argument(metavar="NODE", callback=check_name, help="Name of a node.")]
GroupArgument = Annotated[str, typer.Argument(metavar="GROUP", callback=check_name, help="Name of a group.")]
NodeOption = Annotated[str | None, typer.Option("--node", callback=check_name, help="This node only.")]
GroupOption = Annotated[
    str | None, typer.Option("--group", callback=check_name, help="This group of nodes only.")
]
