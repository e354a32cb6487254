"""Resources that are on or off, that have a value, and sizes.

    /admin/registration, /admin/services/…     {action: enable | disable}
    /admin/settings/<name>                     {action: set | reset, value}
    /admin/message-size, /admin/federation-size

Not for: what is decided where (fleet_settings/).
"""

from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue
from sqlmodel import Session

from controlplane.fleet_settings import service
from controlplane.fleet_settings.catalogue import SERVICES, SETTINGS
from controlplane.fleet_settings.errors import NotOfferedError
from controlplane.fleet_settings.push import PushMode
from controlplane.madmail_rpc.arguments import read_needed_text, read_text, read_value
from controlplane.madmail_rpc.call import Call
from controlplane.madmail_rpc.dashboard import list_own_nodes
from controlplane.madmail_rpc.envelope import RpcAnswer, RpcError
from controlplane.madmail_rpc.setting_values import (
    show_setting,
    write_all_settings,
    write_push,
    write_setting,
    write_word,
)
from controlplane.policy.quantities import format_exact_size

SERVICE_ROOT = "/admin/services/"
SETTING_ROOT = "/admin/settings/"
REGISTRATION: Final = {"/admin/registration": "registration", "/admin/registration/jit": "jit"}
TOGGLE_SETTINGS: Final = frozenset({"registration_token_required", "allow_inbound_remote_rcpt"})
RESTARTED_BY_MADMAIL: Final = frozenset({"turn", "iroh", "admin_web", "shadowsocks", "push"})
"""Their answers say whether a restart is due; here none ever is."""

OPEN_WORDS: Final[Mapping[str, bool]] = {"open": True, "close": False}
SWITCH_WORDS: Final[Mapping[str, bool]] = {"enable": True, "disable": False}
PUSH_WORDS: Final[Mapping[str, PushMode]] = {
    "enable": PushMode.ON,
    "on": PushMode.ON,
    "auto": PushMode.AUTO,
    "disable": PushMode.OFF,
    "off": PushMode.OFF,
}
BOOL_WORDS: Final[Mapping[str, bool]] = {
    "true": True,
    "enabled": True,
    "1": True,
    "false": False,
    "disabled": False,
    "0": False,
}

Json = dict[str, JsonValue]


async def change_registration(call: Call) -> RpcAnswer:
    """Show or change whether new accounts may be made."""
    is_open = await _switch(call, "registration", OPEN_WORDS, "open or close")
    return RpcAnswer({"status": "open" if is_open else "closed"})


async def change_service(call: Call) -> RpcAnswer:
    """Show or switch something that is on or off."""
    name = REGISTRATION.get(call.resource) or call.resource.removeprefix(SERVICE_ROOT)
    match name:
        case "push":
            return RpcAnswer(await _change_push(call))
        case "webmail_dev":
            words = {**SWITCH_WORDS, "add_origin": True}
            return RpcAnswer(
                _write_webmail(is_on=await _switch(call, name, words, "enable, add_origin or disable"))
            )
        case _:
            is_on = await _switch(call, name, SWITCH_WORDS, "enable or disable")
            found: Json = {"status": write_word(is_on=is_on)}
            return RpcAnswer(found | {"restart_required": False} if name in RESTARTED_BY_MADMAIL else found)


async def show_settings(call: Call) -> RpcAnswer:
    """Show all settings in one object."""

    def look(session: Session) -> Json:
        return write_all_settings(
            session, call, service.read_facts(session, call.site.plane.facts, call.node)
        )

    return RpcAnswer(await call.read(look))


async def change_setting(call: Call) -> RpcAnswer:
    """Show, set or reset one setting."""
    name, facts = call.resource.removeprefix(SETTING_ROOT), call.site.plane.facts
    if call.method == "GET":
        return RpcAnswer(
            await call.read(
                lambda session: show_setting(
                    session, call, service.read_facts(session, facts, call.node), name
                )
            )
        )
    match read_text(call.body, "action"):
        case "set":
            value: str | None = read_value(call.body)
        case "reset":
            value = None
        case action:
            raise RpcError(400, f"invalid action: {action} (expected set|reset)")
    await call.change(
        lambda session: service.change_setting(session, facts, call.author, call.node, SETTINGS[name], value)
    )
    return RpcAnswer(write_setting(name, value or "", is_set=value is not None))


async def change_toggle_setting(call: Call) -> RpcAnswer:
    """Show or switch a setting that is on or off."""
    name = call.resource.removeprefix(SETTING_ROOT)
    words, body = SWITCH_WORDS, call.body
    if call.method != "GET" and read_text(body, "action") == "set":
        word = read_value(body).lower()
        if word not in BOOL_WORDS:
            raise RpcError(400, "value must be true or false")
        is_on = await _switch_to(call, name, is_on=BOOL_WORDS[word])
    else:
        is_on = await _switch(call, name, words, "enable or disable")
    return RpcAnswer({"status": write_word(is_on=is_on)})


async def change_message_size(call: Call) -> RpcAnswer:
    """Show, set or reset how large a message may be."""
    facts, setting = call.site.plane.facts, SETTINGS["max_message_size"]
    if call.method != "GET":
        text = read_needed_text(call.body, "size") if call.method == "PUT" else None
        await call.change(
            lambda session: service.change_setting(session, facts, call.author, call.node, setting, text)
        )
    found = await call.read(lambda session: _read_size(session, call, "max_message_size"))
    if call.method == "PUT":
        found |= {"size": read_text(call.body, "size")}
    return RpcAnswer(found | {"reset": True} if call.method == "DELETE" else found)


async def change_federation_size(call: Call) -> RpcAnswer:
    """Show how large a message of another server may be: as one of an own user."""
    if call.method != "GET":
        raise NotOfferedError("size of its own for other servers; /admin/message-size holds for all")
    return RpcAnswer(await call.read(lambda session: _read_size(session, call, "max_federation_size")))


def _read_size(session: Session, call: Call, name: str) -> Json:
    facts = service.read_facts(session, call.site.plane.facts, call.node)
    said = service.show_setting(session, facts, call.node, SETTINGS[name]).said
    config_bytes = service.FIRST_POLICY["message_bytes"]
    found: Json = {
        "effective_bytes": facts.in_force.message_bytes,
        "effective": format_exact_size(facts.in_force.message_bytes),
        name: said or None,
        "config_bytes": config_bytes,
        "config": format_exact_size(config_bytes),
    }
    return found | {"appendlimit": said or None} if name == "max_message_size" else found


async def _change_push(call: Call) -> Json:
    """Do what the action says, if there is one; show the mode, and to who looks, how it goes."""
    facts = call.site.plane.facts
    if call.method != "GET":
        action = read_text(call.body, "action")
        if action not in PUSH_WORDS:
            raise RpcError(400, "action must be enable, disable or auto")
        mode = PUSH_WORDS[action]
        await call.change(lambda session: service.switch_push(session, facts, call.author, call.node, mode))

    def look(session: Session) -> Json:
        found = write_push(service.read_facts(session, facts, call.node), list_own_nodes(session, call))
        return {"status": write_word(is_on=bool(found.pop("enabled"))), **found}

    found = await call.read(look) | {"restart_required": False}
    shown = found if call.method == "GET" else {"status", "mode", "restart_required"}
    return {name: found[name] for name in shown}


async def _switch(call: Call, name: str, words: Mapping[str, bool], expected: str) -> bool:
    """Do what the action says, if there is one; tell whether the service is on then."""
    if call.method == "GET":
        return await call.read(lambda session: _is_on(session, call, name))
    action = read_text(call.body, "action")
    if action not in words:
        raise RpcError(400, f"action must be {expected}")
    return await _switch_to(call, name, is_on=words[action])


async def _switch_to(call: Call, name: str, *, is_on: bool) -> bool:
    def change(session: Session) -> bool:
        facts = call.site.plane.facts
        service.switch_service(session, facts, call.author, call.node, SERVICES[name], is_on=is_on)
        return _is_on(session, call, name)

    return await call.change(change)


def _is_on(session: Session, call: Call, name: str) -> bool:
    facts = service.read_facts(session, call.site.plane.facts, call.node)
    return service.is_enabled(facts, SERVICES[name])


def _write_webmail(*, is_on: bool) -> Json:
    return {
        "status": write_word(is_on=is_on),
        "browser_access_enabled": is_on,
        "webimap_enabled": is_on,
        "websmtp_enabled": is_on,
        "cors_origins": "",
        "cors_origins_list": [],
    }
