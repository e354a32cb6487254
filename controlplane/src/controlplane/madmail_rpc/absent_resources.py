"""Resources of what is not there: they can be looked at, and are empty; changing them is refused.

For: federation policy, ways to other servers, and exchangers.
Not for: services and settings that are not there; those stand in the catalogue (fleet_settings/).
"""

from controlplane.fleet_settings.errors import NotOfferedError
from controlplane.madmail_rpc.call import Call
from controlplane.madmail_rpc.envelope import RpcAnswer

LISTS = {
    "/admin/federation/rules": ("rules", "rules for other servers"),
    "/admin/federation/silent-dismiss": ("domains", "servers that are dismissed silently"),
    "/admin/federation/servers": ("servers", "figures of other servers"),
    "/admin/dns": ("overrides", "ways of their own to other servers"),
    "/admin/exchangers": ("exchangers", "exchangers"),
}
"""What an answer calls the list, and what an admin reads of it."""


async def show_empty(call: Call) -> RpcAnswer:
    """Show an empty list."""
    return RpcAnswer({LISTS[call.resource][0]: [], "total": 0})


async def refuse(call: Call) -> RpcAnswer:
    """Refuse a change."""
    raise NotOfferedError(LISTS[call.resource][1])
