"""A bundle of Debian packages has all that is needed, and nothing that was altered on its way."""

import io
import os
import re
import subprocess
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, FileSystemLoader

from apt_bundle import (
    AptBundleError,
    Source,
    download,
    find_mirrors,
    read_packages,
    write_bundle,
)
from support.ansible_filters import load_filters
from support.debian_archive import ARCHITECTURE, Archive, Package

ROOT = Path(__file__).parents[2]
ROLES = ROOT / "ansible" / "roles"
find_problems = load_filters()["find_apt_bundle_problems"]
PACKAGES = [
    Package("wanted", version="1:2.0", depends="needed (>= 1.0)", recommends="nice"),
    Package("needed"),
    Package("nice"),
    Package("other"),
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    archive = Archive(tmp_path_factory.mktemp("archive"), PACKAGES)
    archive.publish()
    return archive


@pytest.fixture(scope="module")
def bundle(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bundle")
    path = directory / "debian13-amd64.tar"
    write_bundle(path, fetch(archive, directory / "apt", ["wanted"]))
    return path


def fetch(
    archive: Archive, directory: Path, packages: list[str], keyring: Path | None = None
) -> dict[str, Path]:
    directory.mkdir()
    sources = [Source(archive.mirror, "trixie")]
    return download(directory, sources, keyring or archive.keyring, ARCHITECTURE, packages)


def rewrite(bundle: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> str:
    """Copy a bundle with changed members; `None` leaves one out."""
    with tarfile.open(bundle) as old, tarfile.open(target, "w") as new:
        for member in old:
            file = old.extractfile(member)
            assert file is not None
            content = change(member.name, file.read())
            if content is not None:
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
    return str(target)


def damage(name: str, content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1]) if "needed" in name else content


def test_a_bundle_has_what_is_wanted_with_all_that_it_needs_and_no_more(bundle: Path) -> None:
    with tarfile.open(bundle) as archive:
        assert archive.getnames() == [
            "packages/Packages",
            "packages/needed_1.0_amd64.deb",
            "packages/wanted_2.0_amd64.deb",
        ]
    assert find_problems(str(bundle), ["wanted"], "x86_64") == []


def test_the_hash_beside_the_bundle_is_its_own(bundle: Path) -> None:
    digest = sha256(bundle.read_bytes()).hexdigest()

    assert Path(f"{bundle}.sha256").read_text() == f"{digest}  debian13-amd64.tar\n"


def test_the_same_packages_give_the_same_bytes(archive: Archive, bundle: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.tar"
    write_bundle(again, fetch(archive, tmp_path / "apt", ["wanted"]))

    assert again.read_bytes() == bundle.read_bytes()


def test_a_package_that_the_archive_does_not_have_is_named(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(AptBundleError, match="Unable to locate package nosuch"):
        fetch(archive, tmp_path / "apt", ["wanted", "nosuch"])


def test_an_archive_that_somebody_else_has_signed_is_refused(archive: Archive, tmp_path: Path) -> None:
    stranger = Archive(tmp_path / "stranger", PACKAGES[:1])
    stranger.publish()

    with pytest.raises(AptBundleError, match="not signed"):
        fetch(archive, tmp_path / "apt", ["wanted"], keyring=stranger.keyring)


def test_a_package_that_was_altered_at_the_mirror_is_refused(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive", PACKAGES)
    archive.publish()
    altered = archive.find_package("needed")
    altered.write_bytes(damage(altered.name, altered.read_bytes()))

    with pytest.raises(AptBundleError, match="Hash Sum mismatch"):
        fetch(archive, tmp_path / "apt", ["wanted"])


def install_as_a_host(bundle: Path, directory: Path) -> subprocess.CompletedProcess[str]:
    """Let apt choose and verify what it would install on a bare host, by the role's own settings."""
    for name in ("lists/partial", "cache/archives/partial"):
        (directory / name).mkdir(parents=True)
    with tarfile.open(bundle) as archive:
        archive.extractall(directory, filter="data")
    templates = Environment(
        loader=FileSystemLoader(ROLES / "host_setup/templates"),
        autoescape=False,  # noqa: S701 - settings of apt, no page
    )
    templates.filters["comment"] = lambda text, style="plain": ("// " if style == "c" else "# ") + text
    for name in ("apt.conf", "sources.list"):
        text = templates.get_template(f"{name}.j2").render(
            ansible_managed="made for a test", __host_setup_place={"path": str(directory)}
        )
        (directory / name).write_text(text)
    (directory / "status").touch()
    bare = ["-o", f"Dir::State::status={directory}/status", "-o", f"APT::Architecture={ARCHITECTURE}"]
    environment = {**os.environ, "APT_CONFIG": str(directory / "apt.conf"), "LC_ALL": "C"}
    learn = run_apt([*bare, "update"], environment)
    assert learn.returncode == 0, learn.stderr
    return run_apt(
        [*bare, "--yes", "--download-only", "--no-install-recommends", "install", "wanted"], environment
    )


def run_apt(words: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["apt-get", *words], env=environment, capture_output=True, text=True, check=False, timeout=15
    )


def test_apt_of_a_host_takes_the_packages_of_a_bundle(bundle: Path, tmp_path: Path) -> None:
    ended = install_as_a_host(bundle, tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert "2 newly installed" in ended.stdout


def test_apt_of_a_host_refuses_a_package_that_was_altered(bundle: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered.tar"
    rewrite(bundle, altered, damage)

    ended = install_as_a_host(altered, tmp_path / "host")

    assert ended.returncode != 0
    assert "Hash Sum mismatch" in ended.stderr


def test_an_altered_package_is_named_before_anything_is_copied(bundle: Path, tmp_path: Path) -> None:
    path = rewrite(bundle, tmp_path / "altered.tar", damage)

    assert find_problems(path, ["wanted"], "x86_64") == [
        (
            f"{path} is damaged: needed_1.0_amd64.deb is not what its list says."
            " Build it with `make apt-bundle` again, or copy it again."
        )
    ]


def test_a_package_that_is_not_there_is_named(bundle: Path, tmp_path: Path) -> None:
    path = rewrite(bundle, tmp_path / "cut.tar", lambda name, content: None if "needed" in name else content)

    assert "needed_1.0_amd64.deb is not what" in find_problems(path, ["wanted"], "x86_64")[0]


def test_a_package_that_the_bundle_lacks_is_named_with_the_remedy(bundle: Path) -> None:
    problem = f'{bundle} lacks curl, zip. Build it anew: make apt-bundle PACKAGES="curl zip".'

    assert find_problems(str(bundle), ["zip", "wanted", "curl"], "x86_64") == [problem]


def test_a_bundle_for_another_architecture_is_refused(bundle: Path) -> None:
    problems = find_problems(str(bundle), ["wanted"], "aarch64")

    assert problems == [
        f"{bundle} is for amd64, and this host is arm64. Write the bundle for arm64, debian13-arm64.tar."
    ]


def test_a_bundle_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "there is no such file" in find_problems(str(tmp_path / "none.tar"), [], "x86_64")[0]


@given(content=st.binary(max_size=2000))
def test_whatever_is_no_bundle_is_refused_in_a_sentence(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.tar"
    path.write_bytes(content)

    assert find_problems(str(path), ["wanted"], "x86_64") == [
        f"{path} is no bundle of Debian packages. Build it with `make apt-bundle`."
    ]


@given(index=st.text(max_size=300) | st.just("Package: a\n\nArchitecture: all\n"))
def test_a_list_that_is_none_is_refused_in_a_sentence(
    index: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "index.tar"
    with tarfile.open(path, "w") as archive:
        content = index.encode()
        entry = tarfile.TarInfo("packages/Packages")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))

    assert "is no bundle of Debian packages" in find_problems(str(path), ["wanted"], "x86_64")[0]


@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_one_byte_that_is_altered_never_goes_unnoticed_in_a_package(
    bundle: Path, place: float, flip: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(bundle.read_bytes())
    with tarfile.open(bundle) as archive:
        member = archive.getmember("packages/wanted_2.0_amd64.deb")
    content[member.offset_data + int(place * member.size)] ^= flip
    path = tmp_path_factory.getbasetemp() / "flipped.tar"
    path.write_bytes(content)

    assert "wanted_2.0_amd64.deb is not what its list says" in find_problems(str(path), [], "x86_64")[0]


@pytest.mark.parametrize(
    ("targets", "mirrors"),
    [
        ("", ("", "")),
        ("http://a/debian|bookworm|Debian\nhttp://b/x|jammy|Ubuntu", ("http://a/debian", "")),
        ("http://a/ubuntu|jammy|\nhttp://b/node|nodistro|", ("", "")),
        (
            "http://s/sec|bookworm-security|Debian\nhttp://a/debian|trixie-updates|\nhttp://z/|sid|Debian",
            ("http://a/debian", "http://s/sec"),
        ),
        ("http://b/x|trixie|Somebody else", ("", "")),
    ],
)
def test_mirrors_are_those_of_debian_alone(targets: str, mirrors: tuple[str, str]) -> None:
    assert find_mirrors(targets) == mirrors


def test_what_is_listed_is_what_the_roles_install() -> None:
    defaults = yaml.safe_load((ROLES / "host_setup/defaults/main.yml").read_text())
    using = [
        path.relative_to(ROLES).parts[0]
        for path in ROLES.rglob("*.yml")
        if re.search(
            r"ansible\.builtin\.(apt|package|dpkg_selections|apt_repository):|apt-get, |'apt-get', ",
            path.read_text(),
        )
    ]

    assert set(using) == {"host_setup"}
    assert read_packages() == defaults["host_setup_packages"]
    assert read_packages(databases=True) == [*read_packages(), "postgresql-17"]
