"""Limits of what an operator sets."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from mailnode.settings import MailNodeSettings


def read_queue_hours(value: float, directory: Path) -> float:
    return MailNodeSettings(
        state_directory=directory,
        runtime_directory=directory,
        mail_domain="example.org",
        tls_certificate=directory / "tls.crt",
        tls_key=directory / "tls.key",
        support_contact="mailto:admin@example.org",
        queue_hours=value,
    ).queue_hours


@pytest.mark.parametrize("hours", [0.001, 48, 240])
def test_mail_waits_for_seconds_or_for_days(hours: float, tmp_path: Path) -> None:
    assert read_queue_hours(hours, tmp_path) == hours


@pytest.mark.parametrize("hours", [0, 0.0009, 240.1, -1])
def test_mail_waits_neither_for_nothing_nor_for_longer(hours: float, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="queue_hours"):
        read_queue_hours(hours, tmp_path)
