"""What every node can be told about its host, beside what each kind adds."""

from pathlib import Path

from pydantic import Field

from nodelink.channel.node_files import NodeFiles
from nodelink.daemon.settings import DaemonSettings


class NodeSettings(DaemonSettings):
    """Settings of a node."""

    controlplane_ca_file: Path | None = Field(
        default=None, description="CAs that vouch for the control plane, where its key is not pinned."
    )

    def open_node_files(self) -> NodeFiles:
        """Open what the node keeps of its relation to the control plane."""
        return NodeFiles(self.state_directory / "node")
