"""Read what a body holds.

For: resources, which name the field and how long it may be.
Not for: what a value means; services judge that.
"""

from controlplane.madmail_rpc.envelope import Body, RpcError

LONGEST_TEXT = 1024
LARGEST_NUMBER = 1 << 53


def read_text(body: Body, name: str, *, longest: int = LONGEST_TEXT) -> str:
    """Read a text without blanks around it; "" where there is none. Raises: RpcError (400)."""
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise RpcError(400, f"{name} must be a text of at most {longest} characters")
    return value.strip()


def read_needed_text(body: Body, name: str, *, longest: int = LONGEST_TEXT) -> str:
    """Read a text that must be there. Raises: RpcError (400)."""
    text = read_text(body, name, longest=longest)
    if not text:
        raise RpcError(400, f"{name} is required")
    return text


def read_number(body: Body, name: str) -> int | None:
    """Read a whole number; `None` where there is none. Raises: RpcError (400)."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_NUMBER:
        value = int(value)  # JavaScript knows no other numbers
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST_NUMBER:
        raise RpcError(400, f"{name} must be a whole number")
    return value


def read_value(body: Body) -> str:
    """Read the value of a setting, which may be a text, a number or a bool. Raises: RpcError (400)."""
    match body.get("value"):
        case bool() as value:
            return "true" if value else "false"
        case int() as value if abs(value) <= LARGEST_NUMBER:
            return str(value)
        case float() as value if value.is_integer() and abs(value) < LARGEST_NUMBER:
            return str(int(value))
        case str() as value if value.strip():
            return value.strip()[:LONGEST_TEXT]
        case _:
            raise RpcError(400, "value is required for action 'set'")
