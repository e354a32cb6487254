"""Write the newest TURN secret that the control plane has given to this node."""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path


def main() -> None:
    """Read what was signed; the node itself has verified it."""
    kept = json.loads(Path("/var/lib/turnnode/node/desired-state.json").read_text())
    payload = kept["document"].split(".")[1]
    content = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    sys.stdout.write(next(find(content, "secrets"))[0])


def find(value: object, name: str) -> Iterator[list[str]]:
    """Find what has a name, wherever it stands."""
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        for inner in value.values():
            yield from find(inner, name)


if __name__ == "__main__":
    main()
