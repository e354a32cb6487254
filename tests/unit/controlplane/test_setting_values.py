"""From the text of a setting to what policy holds, at the limits."""

import pytest

from controlplane.fleet_settings.catalogue import SERVICES, SETTINGS, Owner
from controlplane.fleet_settings.errors import BadValueError
from controlplane.fleet_settings.values import (
    read_message_bytes,
    read_period_seconds,
    read_port,
    read_quota_bytes,
    read_retention_days,
    read_turn_lifetime,
    read_turn_secret,
)
from controlplane.madmail_rpc.moments import read_moment, write_duration, write_moment
from controlplane.policy.models import PolicyValues

DAY = 86_400


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("64K", 1 << 16), ("65536", 1 << 16), ("30M", 30 << 20), ("1G", 1 << 30)]
)
def test_size_of_a_message_is_read(text: str, size_bytes: int) -> None:
    assert read_message_bytes(text) == size_bytes


@pytest.mark.parametrize("text", ["65535", "1073741825", "1.1G", "", "-1M", "30 X", "\u0663M"])
def test_size_out_of_its_limits_is_refused(text: str) -> None:
    with pytest.raises(BadValueError):
        read_message_bytes(text)


@pytest.mark.parametrize("size_bytes", [1 << 20, 1 << 50])
def test_quota_at_its_limits_is_taken(size_bytes: int) -> None:
    assert read_quota_bytes(size_bytes) == size_bytes


@pytest.mark.parametrize("size_bytes", [(1 << 20) - 1, (1 << 50) + 1, 0, -1])
def test_quota_out_of_its_limits_is_refused(size_bytes: int) -> None:
    with pytest.raises(BadValueError):
        read_quota_bytes(size_bytes)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("90s", 90), ("30m", 1800), ("72h", 259_200), ("30d", 30 * DAY), ("3650d", 3650 * DAY)],
)
def test_period_is_read(text: str, seconds: int) -> None:
    assert read_period_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["0s", "3651d", "315360001s", "30", "d", "1w", "1.5d", "-1d", "9" * 40 + "d"]
)
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(BadValueError):
        read_period_seconds(text)


def test_retention_is_whole_days() -> None:
    assert (read_retention_days("1d"), read_retention_days("48h"), read_retention_days("3650d")) == (
        1,
        2,
        3650,
    )
    with pytest.raises(BadValueError):
        read_retention_days("25h")


@pytest.mark.parametrize("seconds", [DAY, 30 * DAY])
def test_lifetime_of_credentials_at_its_limits_is_taken(seconds: int) -> None:
    assert read_turn_lifetime(str(seconds)) == seconds


@pytest.mark.parametrize("text", [str(DAY - 1), str(30 * DAY + 1), "", "x", "-86400", "1e5"])
def test_lifetime_out_of_its_limits_is_refused(text: str) -> None:
    with pytest.raises(BadValueError):
        read_turn_lifetime(text)


@pytest.mark.parametrize("text", ["x" * 16, "x" * 253, "a.b:c/d@e-f_0123"])
def test_secret_is_taken(text: str) -> None:
    assert read_turn_secret(text) == text


@pytest.mark.parametrize("text", ["x" * 15, "x" * 254, "x" * 15 + " ", "x" * 15 + "é"])
def test_what_is_no_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(BadValueError) as refusal:
        read_turn_secret(text)

    assert text not in refusal.value.text


@pytest.mark.parametrize(("text", "port"), [("1", 1), ("65535", 65_535), (" 2525 ", 2525)])
def test_port_is_read(text: str, port: int) -> None:
    assert read_port(text) == port


@pytest.mark.parametrize("text", ["0", "65536", "", "-1", "x", "1.0"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(BadValueError):
        read_port(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (60, "1m 0s"), (3600, "1h 0m 0s"), (93_784, "1d 2h 3m 4s")]
)
def test_duration_is_written_as_madmail_does(seconds: int, text: str) -> None:
    assert write_duration(seconds) == text


@pytest.mark.parametrize("seconds", [0, 1_800_000_000, 253_402_300_799])
def test_moment_is_read_as_it_was_written(seconds: int) -> None:
    assert read_moment(write_moment(seconds)) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "1969-12-31T23:59:59Z", "2030-13-01", "0001-01-01T00:00:00+23:59"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(BadValueError):
        read_moment(text)


def test_each_service_that_is_there_is_one_of_policy() -> None:
    fields = {service.field for service in SERVICES.values() if service.field is not None}

    assert fields <= set(PolicyValues.model_fields)


def test_each_setting_of_a_host_names_its_variable() -> None:
    for setting in SETTINGS.values():
        assert (setting.variable is not None) is (setting.owner in {Owner.ANSIBLE, Owner.PORTS})
