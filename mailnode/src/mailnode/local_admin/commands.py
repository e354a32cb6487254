"""The commands of the local admin; mailnode's own command mounts them.

For: an operator on the node, as root.
Not for: rules; the daemon has them, and refuses.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue, TypeAdapter

from mailnode.local_admin.client import ask
from mailnode.local_admin.errors import LocalAdminError
from mailnode.local_admin.tables import parse_size, show_record, show_table

Ask = Callable[[Mapping[str, JsonValue]], dict[str, JsonValue]]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Address = Annotated[str, typer.Argument(help="The account's address.")]
OneOrDefault = Annotated[str | None, typer.Argument(help="The account's address.")]
IsDefault = Annotated[bool, typer.Option("--default", help="Mean accounts without a quota of their own.")]
Size = Annotated[str, typer.Option(help="Bytes, or a number with K, M, G or T: 500M.")]
PasswordFromInput = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from standard input; else one is invented."),
]

_ACCOUNT_COLUMNS = {
    "address": "ADDRESS",
    "quota_bytes": "QUOTA",
    "is_banned": "BANNED",
    "created_at_seconds": "CREATED",
    "last_login_at_seconds": "LAST LOGIN",
}
_JSON: TypeAdapter[object] = TypeAdapter(object)


def build_commands(find_directory: Callable[[], Path]) -> typer.Typer:
    """Build the commands; `find_directory` is asked for the daemon's runtime directory when one runs."""

    def ask_daemon(request: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        try:
            return ask(find_directory(), request)
        except LocalAdminError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error

    app = typer.Typer(
        no_args_is_help=True,
        help="Show and change this mail node.",
        pretty_exceptions_enable=False,  # they show local variables, and with them secrets
    )
    app.add_typer(_build_accounts(ask_daemon), name="accounts")
    app.add_typer(_build_quota(ask_daemon), name="quota")
    app.add_typer(_build_message_size(ask_daemon), name="message-size")
    app.add_typer(_build_registration(ask_daemon), name="registration")
    _add_others(app, ask_daemon)
    return app


def _build_accounts(ask_daemon: Ask) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, help="The accounts of this node.")

    @app.command("list")
    def list_accounts(
        after: Annotated[str, typer.Option(help="Begin behind this address.")] = "",
        limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
        *,
        as_json: AsJson = False,
    ) -> None:
        """List accounts by address."""
        result = ask_daemon({"command": "list_accounts", "after": after, "limit": limit})
        accounts = result["accounts"]
        rows = [row for row in accounts if isinstance(row, dict)] if isinstance(accounts, list) else []
        _show(rows, show_table(rows, _ACCOUNT_COLUMNS), as_json=as_json)

    @app.command("show")
    def show_account(address: Address, *, as_json: AsJson = False) -> None:
        """Show an account and what it holds."""
        result = ask_daemon({"command": "show_account", "address": address})
        _show(result, show_record(result), as_json=as_json)

    @app.command("create")
    def create_account(
        address: Annotated[str | None, typer.Argument(help="The address; invented if left out.")] = None,
        *,
        password_stdin: PasswordFromInput = False,
        as_json: AsJson = False,
    ) -> None:
        """Create an account, also while registration is closed."""
        password = _read_password(is_wanted=password_stdin)
        result = ask_daemon({"command": "create_account", "address": address, "password": password})
        _show(result, show_record(result), as_json=as_json)

    @app.command("delete")
    def delete_account(
        address: Address, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
    ) -> None:
        """Remove an account with all its mail."""
        if not yes:
            typer.confirm(f"Remove {address} and its mail for ever?", abort=True)
        ask_daemon({"command": "delete_account", "address": address})
        typer.echo(f"{address} is removed.")

    @app.command("password")
    def change_password(
        address: Address, *, password_stdin: PasswordFromInput = False, as_json: AsJson = False
    ) -> None:
        """Give an account another password, and end its sessions."""
        password = _read_password(is_wanted=password_stdin)
        result = ask_daemon({"command": "change_password", "address": address, "password": password})
        _show(result, show_record(result), as_json=as_json)

    return app


def _build_quota(ask_daemon: Ask) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, help="How much accounts may hold.")

    @app.command("show")
    def show_quota(
        address: OneOrDefault = None, *, default: IsDefault = False, as_json: AsJson = False
    ) -> None:
        """Show the quota of an account, or the default one."""
        if _find_target(address, is_default=default) is None:
            result = _pick(ask_daemon({"command": "show_settings"}), "quota_bytes", "overridden")
        else:
            result = _pick(
                ask_daemon({"command": "show_account", "address": address}),
                *("address", "quota_bytes", "has_own_quota", "size_bytes", "message_count"),
            )
        _show(result, show_record(result), as_json=as_json)

    @app.command("set")
    def set_quota(
        size: Size,
        address: OneOrDefault = None,
        *,
        default: IsDefault = False,
    ) -> None:
        """Set the quota of an account, or the default one here."""
        quota_bytes = _read_size(size)
        target = _find_target(address, is_default=default)
        if target is None:
            ask_daemon({"command": "change_settings", "quota_bytes": quota_bytes})
        else:
            ask_daemon({"command": "change_quota", "address": target, "quota_bytes": quota_bytes})
        typer.echo("The quota is set.")

    @app.command("clear")
    def clear_quota(address: OneOrDefault = None, *, default: IsDefault = False) -> None:
        """Let the default hold for an account again, or the control plane decide the default."""
        target = _find_target(address, is_default=default)
        if target is None:
            ask_daemon({"command": "clear_settings", "settings": ["quota_bytes"]})
        else:
            ask_daemon({"command": "change_quota", "address": target, "quota_bytes": None})
        typer.echo("The quota is cleared.")

    return app


def _build_registration(ask_daemon: Ask) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, help="Who may make an account here.")

    def change(name: str, help_: str, request: dict[str, JsonValue]) -> None:
        def command(*, as_json: AsJson = False) -> None:
            result = _pick(ask_daemon(request), "registration_open", "jit_enabled", "overridden")
            _show(result, show_record(result), as_json=as_json)

        app.command(name, help=help_)(command)

    change("show", "Show whether accounts can be made.", {"command": "show_settings"})
    for name, help_, setting, value in (
        ("open", "Let accounts be made.", "registration_open", True),
        ("close", "Let no account be made.", "registration_open", False),
        ("jit-on", "Let a first login make its account, while registration is open.", "jit_enabled", True),
        ("jit-off", "Let no login make an account.", "jit_enabled", False),
    ):
        change(name, help_, {"command": "change_settings", setting: value})
    settings: list[JsonValue] = ["registration_open", "jit_enabled"]
    change(
        "clear", "Let the control plane decide again.", {"command": "clear_settings", "settings": settings}
    )
    return app


def _build_message_size(ask_daemon: Ask) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, help="How large a message may be.")

    @app.command("show")
    def show_message_size(*, as_json: AsJson = False) -> None:
        """Show the largest message that is taken."""
        result = _pick(ask_daemon({"command": "show_settings"}), "message_bytes", "overridden")
        _show(result, show_record(result), as_json=as_json)

    @app.command("set")
    def set_message_size(size: Size) -> None:
        """Set the largest message that is taken."""
        ask_daemon({"command": "change_settings", "message_bytes": _read_size(size)})
        typer.echo("The size is set.")

    @app.command("clear")
    def clear_message_size() -> None:
        """Let the control plane decide again."""
        ask_daemon({"command": "clear_settings", "settings": ["message_bytes"]})
        typer.echo("The size is cleared.")

    return app


def _add_others(app: typer.Typer, ask_daemon: Ask) -> None:
    @app.command()
    def ban(address: Address) -> None:
        """Ban an account: no login, no mail; its sessions end."""
        ask_daemon({"command": "change_ban", "address": address, "is_banned": True})
        typer.echo(f"{address} is banned.")

    @app.command()
    def unban(address: Address) -> None:
        """Allow a banned account again."""
        ask_daemon({"command": "change_ban", "address": address, "is_banned": False})
        typer.echo(f"{address} is allowed.")

    @app.command()
    def status(*, as_json: AsJson = False) -> None:
        """Show how this node is."""
        result = ask_daemon({"command": "show_status"})
        _show(result, show_record(result), as_json=as_json)


def _find_target(address: str | None, *, is_default: bool) -> str | None:
    """Tell whom a quota command means; `None` is the default."""
    if (address is not None) == is_default:
        raise typer.BadParameter("name an address, or say --default")
    return address


def _read_size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--size") from error


def _read_password(*, is_wanted: bool) -> str | None:
    return sys.stdin.readline().rstrip("\r\n") if is_wanted else None


def _pick(result: Mapping[str, JsonValue], *keys: str) -> dict[str, JsonValue]:
    return {key: result[key] for key in keys}


def _show(result: object, text: str, *, as_json: bool) -> None:
    typer.echo(_JSON.dump_json(result, indent=2).decode() if as_json else text)
