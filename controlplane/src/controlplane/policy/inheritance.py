"""Decide what is in force where several may say it: the nearest word counts.

Not for: reading policies (service.py).
"""

from collections.abc import Sequence

from controlplane.policy.models import Overrides, PolicyValues


def inherit(base: PolicyValues, layers: Sequence[Overrides]) -> PolicyValues:
    """Lay overrides over a base.

    Args:
        base: What the fleet says; it says everything.
        layers: Who may differ, the furthest first and the nearest last; `None` in a field is no word.
    """
    values = dict(base)
    for layer in layers:
        for name in PolicyValues.model_fields:
            value = getattr(layer, name)
            if value is not None:
                values[name] = value
    return PolicyValues.model_validate(values)


def is_any_said(layer: Overrides) -> bool:
    """Tell whether a layer says anything, so that what holds with it may differ."""
    return any(getattr(layer, name) is not None for name in PolicyValues.model_fields)
