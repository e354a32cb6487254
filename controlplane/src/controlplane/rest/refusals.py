"""Let dependencies and endpoints say which refusals they may answer with, so that all of them are documented.

For: `@refuses(...)` on functions; classes have an attribute `refusals`.
Not for: refusing (errors.py).
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

from fastapi.dependencies.models import Dependant

from controlplane.errors import ControlPlaneError

ATTRIBUTE = "refusals"

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])


def refuses(*errors: type[ControlPlaneError]) -> Callable[[FunctionT], FunctionT]:
    """Say with which refusals a function may end."""

    def mark(function: FunctionT) -> FunctionT:
        function.__dict__[ATTRIBUTE] = errors
        return function

    return mark


def list_calls(dependant: Dependant) -> Iterator[object]:
    """List an endpoint's function and all on which it depends."""
    if dependant.call is not None:
        yield dependant.call
    for needed in dependant.dependencies:
        yield from list_calls(needed)


def list_refusals(dependant: Dependant) -> list[type[ControlPlaneError]]:
    """List all refusals of an endpoint, each once."""
    found: dict[type[ControlPlaneError], None] = {}
    for call in list_calls(dependant):
        found |= dict.fromkeys(getattr(call, ATTRIBUTE, ()))
    return list(found)
