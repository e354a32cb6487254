"""What a daemon has logged: one JSON object a line."""

import json
from pathlib import Path


def read_events(log: Path, event: str) -> list[dict[str, object]]:
    """Read the lines of one event, without time and logger."""
    return pick_events(log.read_text(), event)


def pick_events(log: str, event: str) -> list[dict[str, object]]:
    """Pick them from the text of a log."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [
        {name: value for name, value in line.items() if name not in {"timestamp", "logger"}}
        for line in lines
        if line["event"] == event
    ]
