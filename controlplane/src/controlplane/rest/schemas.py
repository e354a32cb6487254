"""Say in the schema of a request what its validators demand.

For: `"json_schema_extra": forbid_null` in the `model_config` of models whose fields may be absent, not null.
"""

from pydantic import JsonValue


def forbid_null(schema: dict[str, JsonValue]) -> None:
    """Take null, and the default that stands for nothing, out of each property."""
    properties = schema.get("properties")
    for field in properties.values() if isinstance(properties, dict) else ():
        if not isinstance(field, dict):
            continue
        field.pop("default", None)
        choices = field.pop("anyOf", None)
        if isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict) and choice != {"type": "null"}:
                    field.update({name: value for name, value in choice.items() if name not in field})
