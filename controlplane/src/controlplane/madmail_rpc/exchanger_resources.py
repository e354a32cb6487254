"""Exchangers: relays where mail for the fleet's nodes may wait.

    /admin/exchangers   {name, url, poll_interval} · {name, enabled?, url?, poll_interval?} · {name}

Tokens are set by /api/v1 and the command line: Madmail's admin web knows none.
Not for: rules (exchangers/service.py).
"""

from typing import TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from controlplane.exchangers import service
from controlplane.exchangers.models import Exchanger, ExchangerChange, ExchangerRequest
from controlplane.madmail_rpc.arguments import read_needed_text, read_number, read_text
from controlplane.madmail_rpc.call import Call
from controlplane.madmail_rpc.envelope import RpcAnswer, RpcError

LONGEST_NAME = 63

ModelT = TypeVar("ModelT", bound=BaseModel)


async def list_exchangers(call: Call) -> RpcAnswer:
    """List all; they are the fleet's, and every mail node polls them."""
    rows = await call.read(lambda session: [_write(row) for row in service.list_exchangers(session)])
    found: list[JsonValue] = [*rows]
    return RpcAnswer({"exchangers": found, "total": len(found)})


async def add_exchanger(call: Call) -> RpcAnswer:
    """Have one polled."""
    _refuse_on_node(call)
    fields: dict[str, object] = {"name": _read_name(call), "url": read_needed_text(call.body, "url")}
    wanted = _build(ExchangerRequest, fields | _read_interval(call))
    facts = call.site.plane.facts
    row = await call.change(lambda session: service.add_exchanger(session, facts, call.author, wanted).name)
    return RpcAnswer({"name": row}, 201)


async def change_exchanger(call: Call) -> RpcAnswer:
    """Change one."""
    _refuse_on_node(call)
    name, fields = _read_name(call), _read_interval(call)
    if url := read_text(call.body, "url"):
        fields["url"] = url
    if "enabled" in call.body:
        fields["is_enabled"] = call.body["enabled"]
    change, facts = _build(ExchangerChange, fields), call.site.plane.facts
    await call.change(
        lambda session: service.change_exchanger(session, facts, call.author, name, change).name
    )
    return RpcAnswer({"updated": name})


async def remove_exchanger(call: Call) -> RpcAnswer:
    """Have one polled no more."""
    _refuse_on_node(call)
    name, facts = _read_name(call), call.site.plane.facts
    await call.change(lambda session: service.remove_exchanger(session, facts, call.author, name))
    return RpcAnswer({"deleted": name})


def _write(row: Exchanger) -> dict[str, JsonValue]:
    return {
        "name": row.name,
        "url": row.url,
        "enabled": row.is_enabled,
        "poll_interval": row.poll_interval_seconds,
    }


def _read_name(call: Call) -> str:
    return read_needed_text(call.body, "name", longest=LONGEST_NAME)


def _read_interval(call: Call) -> dict[str, object]:
    seconds = read_number(call.body, "poll_interval")
    return {} if seconds is None else {"poll_interval_seconds": seconds}


def _refuse_on_node(call: Call) -> None:
    """Refuse changes where they would be one node's. Raises: RpcError (400)."""
    if call.node is not None:
        raise RpcError(400, "exchangers are the fleet's: use /api/admin")


def _build(model: type[ModelT], fields: dict[str, object]) -> ModelT:
    """Build a request. Raises: RpcError (400)."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "body"
        raise RpcError(400, f"{field}: {first['msg']}".replace("is_enabled", "enabled")) from error
