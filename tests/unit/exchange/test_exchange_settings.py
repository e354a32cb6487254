"""What an operator may set for an exchanger, and what he is told where that is wrong."""

from pathlib import Path

import pytest

from mailnode.exchange.settings import ExchangeSettings
from mailnode.exchange.tokens import digest_token, make_token
from nodelink.daemon.settings import BadSettingsError, read_settings

DIGESTS = [digest_token(make_token()) for _ in range(2)]


def read(directory: Path, **changes: str) -> ExchangeSettings:
    values = {
        "STATE_DIRECTORY": "/nonexistent",
        "PUBLIC_HOST": "exchanger.example",
        "TLS_CERTIFICATE": "/nonexistent",
        "TLS_KEY": "/nonexistent",
        **changes,
    }
    file = directory / "settings"
    file.write_text("".join(f"EXCHANGE_{name}={value}\n" for name, value in values.items()))
    return read_settings(ExchangeSettings, file)


def test_lists_of_domains_are_read(tmp_path: Path) -> None:
    first, other = DIGESTS
    settings = read(
        tmp_path,
        KEPT=f"Kept.example={first}, [IPv6:2001:db8::1]={first}, kept.example={other}",
        FORWARDED="far.example, [192.0.2.1], [IPv6:2001:db8::2],near.example=http://127.0.0.1:19080/in?a=b",
    )

    assert settings.kept == {"kept.example": (first, other), "[IPv6:2001:db8::1]": (first,)}
    assert settings.forwarded == {
        "far.example": "https://far.example/mxdeliv",
        "[192.0.2.1]": "https://192.0.2.1/mxdeliv",
        "[IPv6:2001:db8::2]": "https://[2001:db8::2]/mxdeliv",
        "near.example": "http://127.0.0.1:19080/in?a=b",
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "EXCHANGE_KEPT and EXCHANGE_FORWARDED are empty; list a domain"),
        ({"KEPT": "kept.example"}, "EXCHANGE_KEPT is wrong"),
        ({"KEPT": "kept.example"}, "`mailnode exchange token kept.example` makes both"),
        ({"KEPT": f"kept.example={DIGESTS[0][:-1]}"}, "needs the digest of its token"),
        ({"KEPT": f"kept.example={DIGESTS[0].upper()}x"}, "needs the digest of its token"),
        ({"KEPT": f"localhost={DIGESTS[0]}"}, "'localhost' is no mail domain"),
        ({"KEPT": f"a.example={DIGESTS[0]}", "FORWARDED": "A.example"}, "a.example is both in"),
        ({"FORWARDED": "a.example=ftp://b"}, "write https://HOST/mxdeliv"),
        ({"FORWARDED": "a.example=smtp://b"}, "write https://HOST/mxdeliv"),
        ({"FORWARDED": "a.example=b.example"}, "write https://HOST/mxdeliv"),
        ({"FORWARDED": "a.example=https://u:p@b"}, "write https://HOST/mxdeliv"),
        ({"FORWARDED": "a.example,a.example=https://b"}, "a.example stands there twice"),
        ({"FORWARDED": "a.example", "KEPTT": "x"}, "EXCHANGE_KEPTT is no setting"),
        ({"FORWARDED": "a.example", "DOMAIN_BYTES": "70000"}, "must not become smaller"),
        ({"FORWARDED": "a.example", "METRICS_PORT": "443"}, "must differ"),
        ({"FORWARDED": "a.example", "PUBLIC_HOST": "a b"}, "EXCHANGE_PUBLIC_HOST is wrong"),
        ({"FORWARDED": "a.example", "OUTBOUND_ADDRESS": "a"}, "appear to be an IPv4 or IPv6 address"),
    ],
)
def test_wrong_setting_is_told_with_its_remedy(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    with pytest.raises(BadSettingsError) as refusal:
        read(tmp_path, **changes)

    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("MESSAGE_BYTES", 1 << 16, 45 << 20),
        ("KEEP_HOURS", 1, 2160),
        ("FORWARD_HOURS", 1, 240),
        ("MESSAGES_PER_MINUTE", 0, 1_000_000),
        ("HTTPS_PORT", 1, 65_535),
    ],
)
def test_number_may_be_at_its_limits_and_not_beyond(
    tmp_path: Path, name: str, lowest: int, highest: int
) -> None:
    for value in (lowest, highest):
        assert getattr(read(tmp_path, FORWARDED="a.example", **{name: str(value)}), name.lower()) == value
    for value in (lowest - 1, highest + 1):
        with pytest.raises(BadSettingsError, match=name):
            read(tmp_path, FORWARDED="a.example", **{name: str(value)})
