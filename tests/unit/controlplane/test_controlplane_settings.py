"""Settings of the control plane, judged before anything else happens."""

from pathlib import Path

import pytest

from controlplane import main
from controlplane.settings import ControlPlaneSettings
from nodelink.daemon.settings import EXIT_BAD_CONFIGURATION, read_settings

RIGHT = {
    "STATE_DIRECTORY": "/var/lib/madfleet",
    "PUBLIC_URL": "https://control.example.org:8443",
    "TLS_CERTIFICATE": "/etc/madfleet/tls.crt",
    "TLS_KEY": "/etc/madfleet/tls.key",
}


def write(directory: Path, changes: dict[str, str | None]) -> Path:
    file = directory / "settings.env"
    settings = {name: value for name, value in (RIGHT | changes).items() if value is not None}
    file.write_text("".join(f"CONTROLPLANE_{name}={value}\n" for name, value in settings.items()))
    return file


def test_right_settings_are_accepted_without_a_start(tmp_path: Path) -> None:
    main.main(["--check", str(write(tmp_path, {}))])


def test_addresses_are_a_list(tmp_path: Path) -> None:
    file = write(tmp_path, {"LISTEN_ADDRESSES": "192.0.2.1, 2001:db8::1"})

    assert read_settings(ControlPlaneSettings, file).listen_addresses == ("192.0.2.1", "2001:db8::1")


def test_admin_web_of_madmail_may_call_by_default_and_others_as_well(tmp_path: Path) -> None:
    assert read_settings(ControlPlaneSettings, write(tmp_path, {})).admin_origins == (
        "https://admin.madmail.chat",
    )
    file = write(tmp_path, {"ADMIN_ORIGINS": "https://admin.example.org:8443,http://[2001:db8::1]"})
    found = read_settings(ControlPlaneSettings, file)
    assert found.admin_origins == ("https://admin.example.org:8443", "http://[2001:db8::1]")
    assert read_settings(ControlPlaneSettings, write(tmp_path, {"ADMIN_ORIGINS": ""})).admin_origins == ()


@pytest.mark.parametrize("api_path", ["/api", "/steer"])
def test_admin_path_stays_beside_another_path_of_the_api(tmp_path: Path, api_path: str) -> None:
    assert (
        read_settings(ControlPlaneSettings, write(tmp_path, {"API_PATH": api_path})).admin_path
        == "/api/admin"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", None),
        ("PUBLIC_URL", "http://control.example.org"),
        ("PUBLIC_URL", "https://control.example.org/path"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "none"),
        ("TURN_PORT", "0"),
        ("TURN_NAME", "turn.example.org:3478"),
        ("TURN_NAME", "2001:db8::1"),
        ("FLEET_NAME", "'a\"b'"),
        ("LISTEN_ADDRESSES", "nowhere"),
        ("ADMIN_PATH", "api/admin"),
        ("ADMIN_PATH", "/admin"),
        ("ADMIN_PATH", "/api/v1"),
        ("ADMIN_PATH", "/api/v1/nodes"),
        ("ADMIN_PATH", "/api/nodes"),
        ("ADMIN_ORIGINS", "*"),
        ("ADMIN_ORIGINS", "https://admin.example.org/"),
        ("ADMIN_ORIGINS", "https://admin.example.org, admin.example.org"),
        ("TLS_PINNED", "perhaps"),
        ("COLOUR", "blue"),
    ],
)
def test_wrong_setting_ends_with_code_2_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, value: str | None
) -> None:
    with pytest.raises(SystemExit) as end:
        main.main(["--check", str(write(tmp_path, {name: value}))])

    assert end.value.code == EXIT_BAD_CONFIGURATION
    assert capsys.readouterr().err.startswith(f"CONTROLPLANE_{name} ")


@pytest.mark.parametrize(
    ("name", "is_right"), [("x", True), ("x" * 64, True), ("x" * 65, False), ("", False)]
)
def test_name_of_a_fleet_has_a_length(tmp_path: Path, name: str, *, is_right: bool) -> None:
    file = write(tmp_path, {"FLEET_NAME": name})
    if is_right:
        assert read_settings(ControlPlaneSettings, file).fleet_name == name
    else:
        with pytest.raises(SystemExit):
            main.main(["--check", str(file)])
