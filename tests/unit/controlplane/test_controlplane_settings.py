"""Settings of the control plane, judged before anything else happens."""

from pathlib import Path

import pytest

from controlplane import main
from controlplane.settings import ControlPlaneSettings
from nodelink.daemon.settings import EXIT_BAD_CONFIGURATION, BadSettingsError, read_settings

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


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the directory that systemd would name."""
    directory = tmp_path / "credentials"
    directory.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))
    return directory


def test_secret_comes_from_credentials_before_environment_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, credentials: Path
) -> None:
    file = write(tmp_path, {"ADMIN_TOKEN": "f" * 32})
    (credentials / "controlplane_database_url").write_text("postgresql://a:b@db.example.org/c\n")
    (credentials / "another_service").write_text("not ours")

    def read_token() -> str:
        settings = read_settings(ControlPlaneSettings, file)
        assert settings.admin_token is not None
        assert settings.database_url is not None
        assert settings.database_url.get_secret_value() == "postgresql://a:b@db.example.org/c"
        return settings.admin_token.get_secret_value()

    assert read_token() == "f" * 32
    monkeypatch.setenv("CONTROLPLANE_ADMIN_TOKEN", "e" * 32)
    assert read_token() == "e" * 32
    (credentials / "controlplane_admin_token").write_text("c" * 32 + "\n")
    assert read_token() == "c" * 32


@pytest.mark.parametrize("directory", [None, ""])
def test_without_systemd_a_secret_is_a_setting_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: str | None
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    if directory is not None:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", directory)
    found = read_settings(ControlPlaneSettings, write(tmp_path, {"ADMIN_TOKEN": "f" * 32}))

    assert found.admin_token is not None
    assert found.admin_token.get_secret_value() == "f" * 32


@pytest.mark.parametrize(
    ("length", "is_right"), [(0, False), (31, False), (32, True), (256, True), (257, False)]
)
def test_token_among_credentials_is_judged_and_never_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], credentials: Path, length: int, *, is_right: bool
) -> None:
    (credentials / "controlplane_admin_token").write_text("t" * length + "\n")
    file = str(write(tmp_path, {}))
    if is_right:
        main.main(["--check", file])
        return
    with pytest.raises(SystemExit) as end:
        main.main(["--check", file])

    said = capsys.readouterr().err
    assert end.value.code == EXIT_BAD_CONFIGURATION
    assert said.startswith("CONTROLPLANE_ADMIN_TOKEN is wrong")
    assert "tttt" not in said


def test_credentials_that_cannot_be_read_are_refused(tmp_path: Path, credentials: Path) -> None:
    file = write(tmp_path, {})
    (credentials / "controlplane_admin_token").write_bytes(b"\xff" * 40)
    with pytest.raises(BadSettingsError, match=r"cannot be read: .*admin_token.*Correct the file's owner"):
        read_settings(ControlPlaneSettings, file)

    (credentials / "controlplane_admin_token").unlink()
    credentials.rmdir()
    with pytest.raises(BadSettingsError, match="Unset CREDENTIALS_DIRECTORY, or correct it"):
        read_settings(ControlPlaneSettings, file)

    credentials.write_text("no directory")
    with pytest.raises(BadSettingsError, match="Unset CREDENTIALS_DIRECTORY, or correct it"):
        read_settings(ControlPlaneSettings, file)


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
