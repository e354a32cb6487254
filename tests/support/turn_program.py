"""The TURN node's daemon with a policy instead of a control plane: `serve` or `take-over`, as a process.

SIGHUP puts another policy in force, where the environment says which peers it allows.
"""

import os
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from ipaddress import ip_network

from nodelink.contract.states import TurnNodeState
from nodelink.daemon.chassis import Chassis, run_daemon
from nodelink.daemon.log import set_up_log
from nodelink.daemon.settings import read_settings_or_exit
from nodelink.daemon.succession import fork_successor
from turnnode.daemon import TurnNode
from turnnode.relay.limiter import ReplyLimit
from turnnode.relay.policy import RelayPolicy
from turnnode.relay.usage import TrafficLimit
from turnnode.settings import TurnNodeSettings

SECRET = "the fleet's secret"
REPLIES_VARIABLE = "TURN_PROGRAM_REPLIES_PER_SECOND"  # for many clients at one address
LATER_PEERS_VARIABLE = "TURN_PROGRAM_LATER_PEERS"  # networks that are allowed after a SIGHUP
PORT_VARIABLE = "TURN_PROGRAM_WANTED_PORT"  # where the control plane's state wants TURN
WANTED = TurnNodeState(
    realm="example.org",
    secrets=(SECRET,),
    credential_lifetime_seconds=86_400,
    allocations_per_credential=16,
    allocations=4096,
)


def main() -> None:
    succession = fork_successor() if sys.argv[1:] == ["take-over"] else None
    settings = read_settings_or_exit(TurnNodeSettings, None)
    set_up_log(settings.log_level)
    node = TurnNode(settings)
    if PORT_VARIABLE in os.environ:
        node.apply(WANTED.model_copy(update={"port": int(os.environ[PORT_VARIABLE])}))
    replies = int(os.environ.get(REPLIES_VARIABLE, ReplyLimit().per_second))
    node.policy.replace(
        RelayPolicy(
            realm="example.org",
            secrets=(SECRET,),
            peer_allow=(ip_network("127.0.0.0/8"), *settings.peer_allow),
            unauthenticated_replies=ReplyLimit(per_second=replies, burst=5 * replies),
            traffic=TrafficLimit(
                bits_per_second=settings.bits_per_second,
                bits_per_second_per_credential=settings.bits_per_second_per_credential,
                bytes_per_credential=settings.bytes_per_credential,
            ),
        )
    )

    async def start(chassis: Chassis, stack: AsyncExitStack) -> None:
        await node.start(chassis, stack)
        if LATER_PEERS_VARIABLE in os.environ:
            networks = tuple(map(ip_network, os.environ[LATER_PEERS_VARIABLE].split(",")))
            chassis.on_reload.append(
                lambda: node.policy.replace(replace(node.policy.current, peer_allow=networks))
            )

    run_daemon(start, succession)


if __name__ == "__main__":
    main()
