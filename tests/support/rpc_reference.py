"""What docs/reference/rpc.md says of each resource of the Madmail RPC, and a client that calls them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.whole_fleet import WholeFleet

PAGE = Path(__file__).parents[2] / "docs/reference/rpc.md"
FLEET_PATH = "/api/admin"

_ROW = re.compile(
    r"^\| `(/admin/[a-z_/-]+)` \| ([A-Z ]+) \| (live|absent|Ansible: `([a-z_]+)`) \| (.+) \|$", re.MULTILINE
)


@dataclass(frozen=True)
class Row:
    """One resource. `variable` is that of Ansible where that decides."""

    resource: str
    methods: tuple[str, ...]
    state: str
    variable: str | None

    @property
    def name(self) -> str:
        return self.resource.rpartition("/")[2]


def read_reference() -> list[Row]:
    """Read the rows of all tables."""
    return [
        Row(resource, tuple(methods.split()), "ansible" if variable else state, variable or None)
        for resource, methods, state, variable, _ in _ROW.findall(PAGE.read_text())
    ]


def path_of(node: str | None) -> str:
    """Tell at which path the fleet, or a node, is steered."""
    return FLEET_PATH if node is None else f"/api/nodes/{node}/admin"


@dataclass(frozen=True)
class Rpc:
    """A client as the admin web is one: a token in the inner headers, the page's site in those of HTTP."""

    fleet: WholeFleet
    token: str
    node: str | None = None
    origin: str = "https://admin.madmail.chat"

    def call(self, method: str, resource: str, body: object = None) -> dict[str, Any]:
        """Call a resource; return the envelope of the answer, of which the frame is checked."""
        envelope = {
            "method": method,
            "resource": resource,
            "headers": {"Authorization": f"Bearer {self.token}"},
            "body": {} if body is None else body,
        }
        headers = {"content-type": "application/json", "origin": self.origin}
        status, heard, content = self.fleet.send(
            "POST", path_of(self.node), json.dumps(envelope).encode(), headers
        )
        assert status == 200
        assert heard["content-type"] == "application/json"
        assert heard["access-control-allow-origin"] == self.origin
        answer: dict[str, Any] = json.loads(content)
        assert answer["resource"] == resource
        assert isinstance(answer["version"], str)
        assert (answer["error"] is None) is (answer["status"] < 400), answer
        return answer

    def get(self, resource: str, body: object = None) -> dict[str, Any]:
        """Look at a resource; return the body of the answer."""
        return self.expect(200, "GET", resource, body)

    def post(self, resource: str, body: object = None, status: int = 200) -> dict[str, Any]:
        return self.expect(status, "POST", resource, body)

    def expect(self, status: int, method: str, resource: str, body: object = None) -> dict[str, Any]:
        """Call a resource that answers so; return the body of the answer."""
        answer = self.call(method, resource, body)
        assert answer["status"] == status, answer
        found: dict[str, Any] = answer["body"]
        return found

    def refuse(self, status: int, method: str, resource: str, body: object = None) -> str:
        """Call a resource that refuses; return what it says."""
        answer = self.call(method, resource, body)
        assert answer["status"] == status, answer
        error: str = answer["error"]
        return error
