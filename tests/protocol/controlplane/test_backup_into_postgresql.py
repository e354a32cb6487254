"""A backup comes back into PostgreSQL, by the commands: restored into a file, then moved to the database."""

import json
from hashlib import sha256
from pathlib import Path

from sqlmodel import select

from controlplane.nodes.models import Node
from controlplane.plane import open_plane
from controlplane.settings import ControlPlaneSettings
from nodelink.daemon.settings import read_settings
from support.controlplane_process import Installation, install
from support.controlplane_site import add_node, add_token
from support.postgresql import make_database


def make_url(directory: Path, name: str) -> str:
    return f"'{make_database(name + sha256(str(directory).encode()).hexdigest()[:32])}'"


def read_nodes(installation: Installation) -> tuple[list[str], list[str]]:
    """Read the names of nodes and the keys that they trust."""
    with open_plane(read_settings(ControlPlaneSettings, installation.settings)) as plane:
        with plane.sessions() as session:
            names = list(session.exec(select(Node.name).order_by(Node.name)))
        return names, list(plane.keys.trusted)


def test_backup_comes_back_into_an_empty_database_only(tmp_path: Path) -> None:
    present, empty = make_url(tmp_path, "present_"), make_url(tmp_path, "empty_")
    installation, backup = install(tmp_path, database_url=present), tmp_path / "backup"
    with open_plane(read_settings(ControlPlaneSettings, installation.settings)) as plane:
        add_node(plane, "mail1")
        add_token(plane)
    assert installation.run("backup", str(backup)).returncode == 0
    before = read_nodes(installation)
    with open_plane(read_settings(ControlPlaneSettings, installation.settings)) as plane:
        add_node(plane, "mail2")  # which the backup does not know

    restored = installation.run("restore", str(backup), "--force")
    assert restored.returncode == 0
    assert "This host is set to PostgreSQL, which holds what it held" in restored.stderr
    assert restored.stderr.endswith("run: madfleet migrate postgresql.\n")
    assert read_nodes(installation)[0] == ["mail1", "mail2"]

    refused = installation.run("migrate", "postgresql")
    assert refused.returncode == 1
    assert "is not empty (" in refused.stderr
    assert "Name an empty one in CONTROLPLANE_DATABASE_URL" in refused.stderr

    text = installation.settings.read_text()
    installation.settings.write_text(text.replace(present, empty))
    moved = installation.run("migrate", "postgresql")
    assert (moved.returncode, moved.stderr) == (0, "")
    assert "node: 1\n" in moved.stdout
    assert "then start the control plane" in moved.stdout
    assert read_nodes(installation) == before
    assert before[0] == ["mail1"]

    for file in (tmp_path / "state").glob("controlplane.sqlite*"):
        file.unlink()
    back = installation.run("migrate", "sqlite", "--json")
    told = json.loads(back.stdout)
    assert (back.returncode, told["engine"], told["rows"]["node"]) == (0, "sqlite", 1)


def test_file_that_is_no_backup_changes_nothing(tmp_path: Path) -> None:
    url = make_url(tmp_path, "damaged_")
    installation, backup = install(tmp_path, database_url=url), tmp_path / "backup"
    with open_plane(read_settings(ControlPlaneSettings, installation.settings)) as plane:
        add_node(plane, "mail1")
    assert installation.run("backup", str(backup)).returncode == 0
    backup.write_bytes(backup.read_bytes()[:-1])
    before = read_nodes(installation)

    refused = installation.run("restore", str(backup), "--force")

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert read_nodes(installation) == before
    assert not (tmp_path / "state" / "controlplane.sqlite").exists()
