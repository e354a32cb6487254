"""What an operator sets on the host of a TURN node.

Not for: what the control plane decides for the node (nodelink.contract.states.TurnNodeState).
"""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from nodelink.channel.node_settings import NodeSettings
from nodelink.daemon.settings import AddressList, PortList
from turnnode.kernel.rungs import RungChoice


def _split_networks(text: object) -> object:
    if not isinstance(text, str):
        return text
    return tuple(ip_network(word.strip()) for word in text.split(",") if word.strip())


NetworkList = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split_networks)]
"""IP networks, separated by commas; may be empty."""


class TurnNodeSettings(NodeSettings):
    """Settings of `turnnode`."""

    model_config = SettingsConfigDict(env_prefix="TURNNODE_")

    listen_addresses: AddressList = Field(
        description="Addresses of this host to listen on, each by itself; `0.0.0.0` would not say which."
    )
    port: int = Field(default=3478, ge=1, le=65535)
    alternate_ports: PortList = Field(
        default=(), description="Open UDP ports that the control plane may move TURN to."
    )
    relay_addresses: AddressList | None = Field(
        default=None, description="Addresses of this host to relay from; otherwise those it listens on."
    )
    relay_port_min: int = Field(default=49152, ge=1024, le=65535)
    relay_port_max: int = Field(default=65535, ge=1024, le=65535)
    public_name: str = Field(
        min_length=1, max_length=253, description="Name or IPv4 address by which apps find this node."
    )
    peer_allow: NetworkList = Field(
        default=(), description="Networks that calls may go to although they are not globally routable."
    )
    data_path: RungChoice = Field(
        default=RungChoice.USERSPACE,
        description="How calls are relayed: `auto` is the fastest way that works; any other is an order.",
    )
    bpf_directory: Path | None = Field(
        default=None,
        description="Directory in a BPF file system, by which calls in the kernel outlive the process.",
    )

    @model_validator(mode="after")
    def _addresses_and_ports_are_usable(self) -> Self:
        if self.relay_port_max < self.relay_port_min:
            raise ValueError("relay_port_max is below relay_port_min")
        for port in self.alternate_ports:
            if port == self.port or self.relay_port_min <= port <= self.relay_port_max:
                raise ValueError(f"alternate_ports has {port}, which is the port or in the relay ports")
        for address in (*self.listen_addresses, *(self.relay_addresses or ())):
            if ip_address(address).is_unspecified:
                raise ValueError(f"{address} names no address of this host; write each address")
        return self
