"""Commands about many accounts at once: import them from a file, export them into one.

Not for: reading such files (account_files.py).
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from controlplane.client.account_files import MAX_FILE_BYTES, read_accounts, split_accounts
from controlplane.client.api import write_path
from controlplane.client.connection import open_api
from controlplane.client.errors import MisuseError
from controlplane.client.operation_commands import wait_for
from controlplane.client.options import JsonOption, check_name, read_input

NeededNode = Annotated[str, typer.Option("--node", callback=check_name, help="The mail node.")]


def add_account_file_commands(accounts: typer.Typer) -> None:
    """Add these commands to those about accounts."""
    accounts.command("import")(import_accounts)
    accounts.command("export")(export_accounts)


def import_accounts(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(help="What `export` wrote, or Madmail's; `-` for standard input.", allow_dash=True),
    ],
    *,
    node: NeededNode,
    as_json: JsonOption = False,
) -> None:
    """Make accounts from a file, by passwords or hashes of them; those that are there stay as they are."""
    found = read_accounts(read_input(file, MAX_FILE_BYTES))
    path = write_path("nodes", node, "account-import")
    with open_api(context) as api:
        for batch in split_accounts(found):
            order = api.post(path, {"accounts": batch})
            wait_for(api, order, f"Accounts {len(batch)}: done.", as_json=as_json)


def export_accounts(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="File to write; `-` for standard output.", allow_dash=True)],
    *,
    node: NeededNode,
) -> None:
    """Write a node's accounts, with the hashes of their passwords, into a file that only you can read."""
    with open_api(context) as api:
        pages = api.read_pages(write_path("nodes", node, "account-export"))
        lines = (json.dumps(item) + "\n" for page in pages for item in page["items"])
        if str(file) == "-":
            for line in lines:
                typer.echo(line, nl=False)
            return
        first = next(lines, "")  # what is refused makes no file
        count = 1 if first else 0
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as output:  # noqa: PTH123 - of a descriptor
                os.fchmod(descriptor, 0o600)  # a file that was there keeps its own mode otherwise
                output.write(first)
                for line in lines:
                    output.write(line)
                    count += 1
        except OSError as error:
            raise MisuseError(f"{file} cannot be written: {error.strerror}.") from error
    sys.stderr.write(f"{count} accounts are in {file}. Keep it as safe as passwords.\n")
