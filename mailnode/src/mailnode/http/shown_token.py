"""Find the registration token that a request shows.

For: the routes that make accounts; every function is pure.
Not for: judging it (registration_tokens).
"""

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

TOKEN: Final = "token"  # noqa: S105 - the name of a field
MAX_FIELDS = 20


def find_token(query: Mapping[str, str], content_type: str, body: bytes) -> str | None:
    """Find it in the query, or in a body that is JSON or a form; `None` for none."""
    token: object = query.get(TOKEN)
    if token is None and body:
        is_json = content_type.partition(";")[0].strip().lower() == "application/json"
        token = _find_in_json(body) if is_json else _find_in_form(body)
    return token if isinstance(token, str) and token else None


def _find_in_json(body: bytes) -> object:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content.get(TOKEN) if isinstance(content, dict) else None


def _find_in_form(body: bytes) -> object:
    try:
        fields = parse_qs(body.decode(), max_num_fields=MAX_FIELDS)
    except ValueError:
        return None
    return fields.get(TOKEN, [None])[0]
