"""A settings file is read alike by a shell, by python-dotenv and, by its documented rules, by systemd."""

import subprocess
from io import StringIO

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from support.ansible_filters import load_filters

FILTERS = load_filters()
to_environment, to_settings_file = FILTERS["to_environment"], FILTERS["to_settings_file"]

printable = st.text(st.characters(codec="utf-8").filter(str.isprintable), min_size=1, max_size=40)


def read_by_shell(text: str, name: str) -> str:
    command = f'set -a; . /dev/stdin; printf %s "${name}"'
    return subprocess.run(
        ["sh", "-c", command], input=text, capture_output=True, text=True, check=True
    ).stdout


def test_values_are_written_as_the_daemons_read_them() -> None:
    settings = {"A": True, "B": False, "C": 443, "D": ["192.0.2.1", "2001:db8::1"], "E": None, "F": []}

    assert to_environment(settings) == {"A": "true", "B": "false", "C": "443", "D": "192.0.2.1,2001:db8::1"}


@given(value=printable)
def test_dotenv_reads_what_was_written_or_it_is_refused(value: str) -> None:
    try:
        written = to_settings_file({"NAME": value})
    except ValueError as error:
        assert "NAME has" in str(error)  # noqa: PT017 - whether it is refused depends on the value
        return

    assert dotenv_values(stream=StringIO(written)) == {"NAME": value}


@pytest.mark.parametrize(
    "value", ["Ali's fleet", "a b", '$HOME `id` "x"', "چت خانواده", "[IPv6:2001:db8::1]"]
)
def test_a_shell_reads_what_was_written(value: str) -> None:
    assert read_by_shell(to_settings_file({"NAME": value}), "NAME") == value


@pytest.mark.parametrize("value", ["two\nlines", "a\x00b", "Ali's $HOME", "a \\ b", "${HOME}"])
def test_what_cannot_be_written_safely_is_refused_by_name(value: str) -> None:
    with pytest.raises(ValueError, match="NAME has"):
        to_settings_file({"NAME": value})
