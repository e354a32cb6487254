"""Which resources there are, what can be done with each, and who may.

For: endpoints.py. Whoever looks must be a viewer, whoever changes an operator, of what the address reaches.
Not for: what a resource does.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from controlplane.admins.access import Role
from controlplane.fleet_settings.catalogue import SERVICES, SETTINGS
from controlplane.madmail_rpc import (
    account_resources,
    blocklist_resources,
    dashboard,
    exchanger_resources,
    federation_resources,
    mail_resources,
    switch_resources,
    token_resources,
)
from controlplane.madmail_rpc.call import Call
from controlplane.madmail_rpc.envelope import RpcAnswer, RpcError, RpcRequest

Handler = Callable[[Call], Awaitable[RpcAnswer]]


@dataclass(frozen=True, slots=True)
class Verb:
    """What one method of a resource does."""

    handler: Handler
    role: Role


Resource = Mapping[str, Verb]


def find_verb(request: RpcRequest) -> Verb:
    """Find what a request asks for.

    Raises:
        RpcError: There is no such resource (404), or it has no such method (405).
    """
    resource = RESOURCES.get(request.resource)
    if resource is None:
        raise RpcError(404, f"unknown resource: {request.resource}")
    if request.method not in resource:
        raise RpcError(405, f"method {request.method} not allowed (expected {'|'.join(resource)})")
    return resource[request.method]


def _offer(**handlers: Handler) -> Resource:
    """Name what each method does: looking is for viewers, all else for operators."""
    roles = {"GET": Role.VIEWER}
    return {method: Verb(handler, roles.get(method, Role.OPERATOR)) for method, handler in handlers.items()}


def _offer_both(handler: Handler) -> Resource:
    return _offer(GET=handler, POST=handler)


def _list_resources() -> dict[str, Resource]:
    resources: dict[str, Resource] = {
        "/admin/status": _offer(GET=dashboard.show_status),
        "/admin/overview": _offer(GET=dashboard.show_overview),
        "/admin/storage": _offer(GET=dashboard.show_storage),
        "/admin/reload": _offer(POST=dashboard.reload),
        "/admin/restart": _offer(POST=dashboard.refuse_restart),
        "/admin/registration": _offer_both(switch_resources.change_registration),
        "/admin/registration/jit": _offer_both(switch_resources.change_service),
        "/admin/settings": _offer(GET=switch_resources.show_settings),
        "/admin/settings/federation": _offer_both(federation_resources.change_policy),
        "/admin/message-size": _offer(
            GET=switch_resources.change_message_size,
            PUT=switch_resources.change_message_size,
            DELETE=switch_resources.change_message_size,
        ),
        "/admin/federation-size": _offer(
            GET=switch_resources.change_federation_size,
            PUT=switch_resources.change_federation_size,
            DELETE=switch_resources.change_federation_size,
        ),
        "/admin/accounts": _offer(
            GET=account_resources.list_accounts,
            POST=account_resources.create_account,
            DELETE=account_resources.delete_account,
            PATCH=account_resources.change_accounts,
        ),
        "/admin/blocklist": _offer(
            GET=blocklist_resources.list_blocked,
            POST=blocklist_resources.block,
            DELETE=blocklist_resources.unblock,
            PATCH=blocklist_resources.change_blocklist,
        ),
        "/admin/quota": _offer(
            GET=account_resources.show_quota,
            PUT=account_resources.change_quota,
            DELETE=account_resources.reset_quota,
        ),
        # Whoever sees a token may give it away.
        "/admin/registration-token": {
            "GET": Verb(token_resources.list_tokens, Role.OPERATOR),
            "POST": Verb(token_resources.put_token, Role.OPERATOR),
            "DELETE": Verb(token_resources.delete_token, Role.OPERATOR),
        },
        "/admin/federation/servers": _offer(GET=federation_resources.list_servers),
        "/admin/notice": _offer(GET=mail_resources.count_recipients, POST=mail_resources.refuse_notice),
        "/admin/queue": _offer(POST=mail_resources.purge),
    }
    for path, change in (
        ("/admin/federation/rules", federation_resources.change_rules),
        ("/admin/federation/silent-dismiss", federation_resources.change_dismissed),
        ("/admin/dns", federation_resources.change_endpoints),
    ):
        resources[path] = _offer(GET=change, POST=change, DELETE=change)
    resources["/admin/exchangers"] = _offer(
        GET=exchanger_resources.list_exchangers,
        POST=exchanger_resources.add_exchanger,
        DELETE=exchanger_resources.remove_exchanger,
        PUT=exchanger_resources.change_exchanger,
    )
    own = {*switch_resources.REGISTRATION.values(), *switch_resources.TOGGLE_SETTINGS}
    for name in SERVICES:
        if name not in own:
            path = f"{switch_resources.SERVICE_ROOT}{name}"
            resources[path] = _offer_both(switch_resources.change_service)
    for name in switch_resources.TOGGLE_SETTINGS:
        path = f"{switch_resources.SETTING_ROOT}{name}"
        resources[path] = _offer_both(switch_resources.change_toggle_setting)
    for name in SETTINGS:
        path = f"{switch_resources.SETTING_ROOT}{name}"
        resources[path] = _offer_both(switch_resources.change_setting)
    return resources


RESOURCES: Final[Mapping[str, Resource]] = _list_resources()
