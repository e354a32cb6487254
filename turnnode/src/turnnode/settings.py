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
    port: int = Field(default=3478, ge=1, le=65535, description="UDP port of clients.")
    other_udp_ports: PortList = Field(
        default=(), description="UDP ports to listen on beside it, for networks that let only some out."
    )
    alternate_ports: PortList = Field(
        default=(), description="Open UDP ports that the control plane may move TURN to."
    )
    tcp_port: int | None = Field(
        default=None, ge=1, le=65535, description="Port for clients over TCP; none where it is not set."
    )
    tls_ports: PortList = Field(default=(), description="Ports for clients over TLS, such as 5349 and 443.")
    tls_certificate: Path | None = Field(default=None, description="Certificate chain in PEM form.")
    tls_key: Path | None = Field(default=None, description="Its private key in PEM form.")
    announced_port: int | None = Field(
        default=None, ge=1, le=65535, description="UDP port that apps are told; otherwise `port`."
    )
    relay_addresses: AddressList | None = Field(
        default=None, description="Addresses of this host to relay from; otherwise those it listens on."
    )
    published_addresses: AddressList | None = Field(
        default=None,
        description="Behind a NAT: what others must write for each of the addresses to relay from, in order.",
    )
    relay_port_min: int = Field(default=49152, ge=1024, le=65535)
    relay_port_max: int = Field(default=65535, ge=1024, le=65535)
    public_name: str = Field(
        min_length=1, max_length=253, description="Name or IPv4 address by which apps find this node."
    )
    peer_allow: NetworkList = Field(
        default=(), description="Networks that calls may go to although they are not globally routable."
    )
    bits_per_second: int | None = Field(
        default=None, ge=1_000_000, le=10**12, description="Data of all calls together; none is no limit."
    )
    bits_per_second_per_credential: int | None = Field(
        default=None, ge=100_000, le=10**12, description="Data of one credential, of all its devices."
    )
    bytes_per_credential: int | None = Field(
        default=None, ge=10**6, le=10**15, description="Data of one credential until it ends."
    )
    data_path: RungChoice = Field(
        default=RungChoice.USERSPACE,
        description="How calls are relayed: `auto` is the fastest way that works; any other is an order.",
    )
    bpf_directory: Path | None = Field(
        default=None,
        description="Directory in a BPF file system, by which calls in the kernel outlive the process.",
    )

    credential_socket: Path | None = Field(
        default=None,
        description="Unix socket from which a chatmail relay reads credentials; none where it is not set.",
    )

    @model_validator(mode="after")
    def _addresses_and_ports_are_usable(self) -> Self:
        if self.relay_port_max < self.relay_port_min:
            raise ValueError("relay_port_max is below relay_port_min")
        udp_ports = (self.port, *self.other_udp_ports)
        for port in self.alternate_ports:
            if port in udp_ports or self.relay_port_min <= port <= self.relay_port_max:
                raise ValueError(
                    f"alternate_ports has {port}, which is port, in other_udp_ports or in the relay ports"
                )
        for address in (*self.listen_addresses, *(self.relay_addresses or ())):
            if ip_address(address).is_unspecified:
                raise ValueError(f"{address} names no address of this host; write each address")
        if self.announced_port is not None and self.announced_port not in {self.port, *self.other_udp_ports}:
            raise ValueError("announced_port is neither port nor one of other_udp_ports")
        for ports in (udp_ports, (*self.tls_ports, self.tcp_port)):
            if len(set(ports)) != len(ports):
                raise ValueError("a port is named twice; name each once")
        return self

    @model_validator(mode="after")
    def _published_addresses_match(self) -> Self:
        bound = self.relay_addresses or self.listen_addresses
        if self.published_addresses is None:
            return self
        if len(self.published_addresses) != len(bound):
            raise ValueError("published_addresses needs one address for each that is relayed from")
        for one, other in zip(bound, self.published_addresses, strict=True):
            if ip_address(one).version != ip_address(other).version:
                raise ValueError(f"{other} in published_addresses is of another family than {one}")
        return self

    @model_validator(mode="after")
    def _tls_has_a_certificate(self) -> Self:
        if self.tls_ports and (self.tls_certificate is None or self.tls_key is None):
            raise ValueError("tls_ports needs tls_certificate and tls_key")
        return self
