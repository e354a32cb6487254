"""Commands about webhooks: who is told what happens to the fleet.

Not for: what is worth a message (webhooks/alarms.py).
"""

from collections.abc import Mapping
from typing import Annotated

import typer

from controlplane.client.api import write_path
from controlplane.client.connection import open_api
from controlplane.client.errors import MisuseError
from controlplane.client.options import JsonOption, has_command
from controlplane.client.output import Column, moment_of, print_done, print_item, print_list


def _list_events(hook: Mapping[str, object]) -> str:
    events = hook["events"]
    return ", ".join(str(event) for event in events) if isinstance(events, list) and events else "all"


LIST_COLUMNS: list[Column] = [
    ("ID", "id"),
    ("URL", "url"),
    ("EVENTS", _list_events),
    ("ENABLED", lambda item: "yes" if item["is_enabled"] else "no"),
    ("COMMENT", "comment"),
]
ITEM_COLUMNS: list[Column] = [
    *((head.capitalize(), cell) for head, cell in LIST_COLUMNS),
    ("Burst", lambda item: f"from {item['burst_accounts']} accounts a minute"),
    ("Disk", lambda item: f"from {item['disk_percent']} %"),
]
MADE_COLUMNS: list[Column] = [*ITEM_COLUMNS, ("Secret", "secret")]
DELIVERY_COLUMNS: list[Column] = [
    ("ID", "id"),
    ("EVENT", "event"),
    ("STATE", "state"),
    ("ATTEMPTS", "attempts"),
    ("NEXT", moment_of("next_at_seconds", never="-")),
    ("PROBLEM", lambda item: str(item["problem"] or "")),
]

HookArgument = Annotated[str, typer.Argument(metavar="ID", help="What the list shows in the first column.")]
EventOption = Annotated[
    list[str] | None,
    typer.Option("--event", help="An event to tell, such as node.down; several times for several."),
]
CommentOption = Annotated[str | None, typer.Option("--comment", help="For operators.")]
BurstOption = Annotated[
    int | None, typer.Option("--burst", min=1, help="From how many accounts a minute they are a burst.")
]
DiskOption = Annotated[
    int | None, typer.Option("--disk-percent", min=1, max=99, help="From how full a disk is told.")
]

webhooks = typer.Typer(
    help="Have other programs told what happens to the fleet.", invoke_without_command=True
)


def add_webhook_commands(app: typer.Typer) -> None:
    """Add the commands about webhooks to the command line."""
    app.add_typer(webhooks, name="webhooks")


@webhooks.callback()
def list_webhooks(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """List who is told; or do something with one."""
    if has_command(context):
        return
    with open_api(context) as api:
        found = api.list_all("/webhooks")
    empty = "Nobody is told. Have somebody told with `madfleet webhooks create`."
    print_list(found, LIST_COLUMNS, as_json=as_json, empty=empty)


@webhooks.command("show")
def show_webhook(context: typer.Context, webhook: HookArgument, *, as_json: JsonOption = False) -> None:
    """Show who is told, and of what."""
    with open_api(context) as api:
        found = api.get(write_path("webhooks", webhook))
    print_item(found, ITEM_COLUMNS, as_json=as_json)


@webhooks.command("create")
def create_webhook(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="Such as https://example.org/hook.")],
    *,
    events: EventOption = None,
    comment: CommentOption = None,
    burst: BurstOption = None,
    disk_percent: DiskOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have somebody told; print the secret that messages are signed with, which is shown only now."""
    with open_api(context) as api:
        made = api.post("/webhooks", {"url": url} | _choose(events, comment, burst, disk_percent))
    print_item(made, MADE_COLUMNS, as_json=as_json)


@webhooks.command("change")
def change_webhook(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    webhook: HookArgument,
    *,
    url: Annotated[str | None, typer.Option("--url", help="Where messages go.")] = None,
    events: EventOption = None,
    comment: CommentOption = None,
    burst: BurstOption = None,
    disk_percent: DiskOption = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether anything is sent.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Change where messages go, and which."""
    change = _choose(events, comment, burst, disk_percent)
    change |= {name: value for name, value in (("url", url), ("is_enabled", enabled)) if value is not None}
    if not change:
        raise MisuseError("Say what to change: --url, --event, --comment, --burst, --disk-percent, --enable.")
    with open_api(context) as api:
        found = api.patch(write_path("webhooks", webhook), change)
    print_item(found, ITEM_COLUMNS, as_json=as_json)


@webhooks.command("delete")
def remove_webhook(context: typer.Context, webhook: HookArgument, *, as_json: JsonOption = False) -> None:
    """Tell somebody nothing any more; what waits for him is dropped."""
    with open_api(context) as api:
        api.delete(write_path("webhooks", webhook))
    print_done({"id": webhook, "is_removed": True}, f"Webhook {webhook} is removed.", as_json=as_json)


@webhooks.command("test")
def send_test(context: typer.Context, webhook: HookArgument, *, as_json: JsonOption = False) -> None:
    """Have a message sent that tells of nothing."""
    with open_api(context) as api:
        sent = api.post(write_path("webhooks", webhook, "test"), {})
    text = (
        f"Message {sent['id']} will be sent. `madfleet webhooks deliveries {webhook}` says what came of it."
    )
    print_done(sent, text, as_json=as_json)


@webhooks.command("deliveries")
def list_deliveries(context: typer.Context, webhook: HookArgument, *, as_json: JsonOption = False) -> None:
    """List the messages of the last week, and those that wait."""
    with open_api(context) as api:
        found = api.list_all(write_path("webhooks", webhook, "deliveries"))
    print_list(found, DELIVERY_COLUMNS, as_json=as_json, empty="Nothing was sent.")


def _choose(
    events: list[str] | None, comment: str | None, burst: int | None, disk_percent: int | None
) -> dict[str, object]:
    wanted = {"comment": comment, "burst_accounts": burst, "disk_percent": disk_percent}
    chosen: dict[str, object] = {name: value for name, value in wanted.items() if value is not None}
    return chosen | ({"events": events} if events else {})
