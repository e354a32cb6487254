"""Commands about exchangers: relays where mail for the fleet's nodes may wait.

Not for: sending through one; that is `madfleet federation endpoint set`.
"""

from pathlib import Path
from typing import Annotated

import typer

from controlplane.client.api import Document, write_path
from controlplane.client.connection import open_api
from controlplane.client.errors import MisuseError
from controlplane.client.options import JsonOption, has_command, parse_seconds, read_input
from controlplane.client.output import Column, print_done, print_item, print_list

MAX_TOKEN_BYTES = 1_000

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What the exchanger is called.")]
EveryOption = Annotated[
    str | None,
    typer.Option("--every", metavar="TIME", help="How often, such as 60 (seconds) or 5m."),
]
TokenOption = Annotated[
    Path | None,
    typer.Option("--token-file", help="File with the token that it wants, or `-` for standard input."),
]

exchangers = typer.Typer(
    help="Look at where mail for the fleet's nodes may wait, and change it.", invoke_without_command=True
)


def add_exchanger_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(exchangers, name="exchangers")


@exchangers.callback()
def list_exchangers(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List the exchangers; or do something with one."""
    if has_command(context):
        return
    with open_api(context) as api:
        found = api.get("/exchangers")["items"]
    empty = "No exchanger is polled. Name one with `madfleet exchangers add NAME URL`."
    print_list(found, COLUMNS, as_json=as_json, empty=empty)


@exchangers.command("show")
def show_exchanger(context: typer.Context, name: NameArgument, *, as_json: JsonOption = False) -> None:
    """Show one exchanger."""
    with open_api(context) as api:
        found = api.get(write_path("exchangers", name))
    print_item(found, COLUMNS, as_json=as_json)


@exchangers.command("add")
def add_exchanger(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    name: NameArgument,
    url: Annotated[str, typer.Argument(metavar="URL", help="Such as https://relay.example.org:8443.")],
    *,
    every: EveryOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have all mail nodes pull their mail from an exchanger, too."""
    wanted = {"name": name, "url": url} | _choose(every, token_file)
    with open_api(context) as api:
        made = api.post("/exchangers", wanted)
    print_done(made, f"Mail nodes poll {name} every {made['poll_interval_seconds']} s.", as_json=as_json)


@exchangers.command("change")
def change_exchanger(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    name: NameArgument,
    *,
    url: Annotated[str | None, typer.Option("--url", help="Its address.")] = None,
    every: EveryOption = None,
    token_file: TokenOption = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether it is polled.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Change where an exchanger is, its token, how often it is polled, and whether."""
    change = _choose(every, token_file)
    change |= {field: value for field, value in (("url", url), ("is_enabled", enabled)) if value is not None}
    if not change:
        raise MisuseError("Say what to change: --url, --every, --token-file, --enable or --disable.")
    with open_api(context) as api:
        found = api.patch(write_path("exchangers", name), change)
    print_item(found, COLUMNS, as_json=as_json)


@exchangers.command("remove")
def remove_exchanger(context: typer.Context, name: NameArgument, *, as_json: JsonOption = False) -> None:
    """Have an exchanger polled no more."""
    with open_api(context) as api:
        api.delete(write_path("exchangers", name))
    print_done({"name": name, "is_removed": True}, f"{name} is polled no more.", as_json=as_json)


def _choose(every: str | None, token_file: Path | None) -> Document:
    chosen: Document = {}
    if every is not None:
        seconds = int(every) if every.isascii() and every.isdigit() else parse_seconds(every)
        if not seconds:
            raise MisuseError(f"{every!r} is no time; write such as 60 (seconds) or 5m.")
        chosen["poll_interval_seconds"] = seconds
    if token_file is not None:
        chosen["token"] = read_input(token_file, MAX_TOKEN_BYTES).strip()
    return chosen


COLUMNS: list[Column] = [
    ("NAME", "name"),
    ("ADDRESS", "url"),
    ("POLLED", "is_enabled"),
    ("EVERY (S)", "poll_interval_seconds"),
    ("TOKEN", "has_token"),
]
