"""What a daemon has logged: one JSON object a line."""

import json
from pathlib import Path


def read_events(log: Path, event: str) -> list[dict[str, object]]:
    """Read the lines of one event, without time and logger."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [
        {name: value for name, value in line.items() if name not in {"timestamp", "logger"}}
        for line in lines
        if line["event"] == event
    ]
