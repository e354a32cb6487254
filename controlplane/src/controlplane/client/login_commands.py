"""Commands about how to reach the control plane: sign in once, forget it, see who one is.

Not for: where it is kept (target.py).
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from controlplane.client.api import Api, Document
from controlplane.client.connection import open_api, read_connector
from controlplane.client.errors import MisuseError
from controlplane.client.options import JsonOption
from controlplane.client.output import Column, Row, print_done, print_item, print_json
from controlplane.client.target import Target, find_login_file, read_token, read_url, write_login


def add_login_commands(app: typer.Typer) -> None:
    """Add the commands about signing in to the command line."""
    app.command("login")(login)
    app.command("logout")(logout)
    app.command("whoami")(show_caller)


def login(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Address of the control plane.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Sign in: try an admin token, and keep it with the address for later commands.

    The token comes from --token, from MADFLEET_TOKEN, from standard input, or is asked for.
    """
    connector = read_connector(context)
    given = connector.token or _read_token()
    ca_file = str(Path(connector.ca_file).absolute()) if connector.ca_file else None
    target = Target(read_url(url), read_token(given), ca_file)
    api = Api(target)
    try:
        caller = api.get("/caller")
    finally:
        api.close()
    file = find_login_file()
    write_login(file, target)
    print_done(
        {**caller, "url": target.url, "file": str(file)},
        f"Signed in at {target.url} as {describe_caller(caller)}. The token is kept in {file}.",
        as_json=as_json,
    )


def logout(*, as_json: JsonOption = False) -> None:
    """Forget the address and the token. The token stays good: `madfleet admin-tokens revoke` ends it."""
    file = find_login_file()
    is_there = file.exists()
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise MisuseError(f"{file} cannot be removed: {error.strerror}.") from error
    if as_json:
        print_json({"file": str(file), "removed": is_there})
    else:
        typer.echo(f"{file} is removed." if is_there else "Nobody was signed in.")


def show_caller(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Show at which control plane one is, as whom, and what the token is for."""
    with open_api(context) as api:
        caller = {**api.get("/caller"), "url": api.target.url}
    columns: list[Column] = [
        ("Address", "url"),
        ("Name", "name"),
        ("Role", "role"),
        ("Scope", describe_scope),
    ]
    print_item(caller, columns, as_json=as_json)


def describe_caller(caller: Document) -> str:
    """Describe an admin in a sentence."""
    return f"{caller.get('name')}, {caller.get('role')} of {describe_scope(caller)}"


def describe_scope(token: Row) -> str:
    """Describe of how much a token is."""
    kind, name = token.get("scope_kind"), token.get("scope_name")
    return "the fleet" if name is None else f"the {kind} {name}"


def _read_token() -> str:
    if sys.stdin.isatty():
        text: str = typer.prompt("Admin token", hide_input=True, err=True)
        return text
    return sys.stdin.readline()
