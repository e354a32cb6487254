"""Filters that write a daemon's settings, so that systemd, a shell and python-dotenv read them alike.

For: templates and tasks of the roles controlplane, mailnode, turnnode and exchanger.
Not for: judging settings; the daemon does (`--check`).
"""

from collections.abc import Callable, Mapping


class SettingsError(ValueError):
    """A setting cannot be written; the text says which and what to do."""


def to_environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Write settings as environment variables; what is `None` or an empty list is left to its default."""
    return {name: _to_text(value) for name, value in settings.items() if value is not None and value != []}


def to_settings_file(settings: Mapping[str, object]) -> str:
    """Write settings as NAME='value' lines in the order of their names.

    Raises:
        SettingsError: A value cannot be quoted so that all readers agree on it.
    """
    return "".join(
        f"{name}={_quote(name, value)}\n" for name, value in sorted(to_environment(settings).items())
    )


def _to_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(str(word) for word in value)
    return str(value)


def _quote(name: str, value: str) -> str:
    """Quote so that nobody finds anything special in it."""
    if not value.isprintable():
        raise SettingsError(f"{name} has a control character in it. Write one line of text.")
    if "\\" in value or "${" in value:
        raise SettingsError(f"{name} has a backslash or ${{ in it. Leave it out.")
    if "'" not in value:
        return f"'{value}'"
    if any(character in value for character in '"$`'):
        raise SettingsError(f'{name} has an apostrophe and one of " $ ` in it. Leave out either.')
    return f'"{value}"'


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters."""
        return {"to_environment": to_environment, "to_settings_file": to_settings_file}
