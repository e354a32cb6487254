"""What `make wheels` and `make apt-bundle` have built: whole, and made for the hosts' processors.

Also for those that no computer here has: a wheel for another processor would only fail on the operator's
hosts.
"""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from apt_bundle import read_packages
from support.ansible_filters import load_filters
from wheels import ARCHITECTURES, PROGRAMS, SERVICES

ROOT = Path(__file__).parents[3]
find_problems = load_filters()["find_apt_bundle_problems"]
ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
ELF_MACHINE_OF_KERNEL_PROGRAMS = 247  # EM_BPF: the kernel translates them for its processor
DEBIAN_GLIBC_MINOR = 41
HASHED_LINE = re.compile(r"([A-Za-z0-9._-]+)==(\S+) --hash=sha256:([0-9a-f]{64})")
pytestmark = [pytest.mark.parametrize("architecture", ARCHITECTURES)]


@pytest.fixture(params=SERVICES)
def bundle(request: pytest.FixtureRequest, architecture: str) -> dict[str, bytes]:
    path = ROOT / "dist/bundles" / f"{request.param}-{architecture}.tar.gz"
    assert path.exists(), "Run `make wheels` first."
    with tarfile.open(path) as archive:
        return {
            entry.name: file.read() for entry in archive if (file := archive.extractfile(entry)) is not None
        }


def list_tags_of_debian(architecture: str) -> set[Tag]:
    """List what Python 3.13 takes on Debian 13."""
    platforms = [f"manylinux_2_{minor}_{architecture}" for minor in range(17, DEBIAN_GLIBC_MINOR + 1)]
    platforms.append(f"manylinux2014_{architecture}")
    return {
        *cpython_tags((3, 13), platforms=platforms),
        *compatible_tags((3, 13), interpreter="cp313", platforms=platforms),
    }


def read_machine(content: bytes) -> int | None:
    """Read for which processor a program or library is; `None` for anything else."""
    return int.from_bytes(content[18:20], "little") if content.startswith(b"\x7fELF") else None


def read_machines(wheel: bytes) -> Iterator[tuple[str, int]]:
    with zipfile.ZipFile(BytesIO(wheel)) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                machine = read_machine(file.read(20))
            if machine is not None:
                yield name, machine


def test_each_requirement_has_the_one_wheel_that_it_names(bundle: dict[str, bytes]) -> None:
    lines = [HASHED_LINE.fullmatch(line) for line in bundle["requirements.txt"].decode().splitlines()]
    wanted = {(canonicalize_name(line[1]), line[2], line[3]) if line is not None else None for line in lines}
    found = set()
    for name, content in bundle.items():
        if name.startswith("wheels/"):
            project, version, _, _ = parse_wheel_filename(Path(name).name)
            found.add((project, str(version), sha256(content).hexdigest()))

    assert len(lines) == len(found) > 10
    assert wanted == found


def test_each_wheel_fits_the_processor_and_the_python_of_debian(
    bundle: dict[str, bytes], architecture: str
) -> None:
    fitting = list_tags_of_debian(architecture)
    wheels = [Path(name).name for name in bundle if name.startswith("wheels/")]

    assert [name for name in wheels if not parse_wheel_filename(name)[3] & fitting] == []


def test_each_program_in_it_is_for_the_processor(bundle: dict[str, bytes], architecture: str) -> None:
    machines = [("uv", read_machine(bundle["uv"]))]
    for name, content in bundle.items():
        if name.startswith("wheels/"):
            machines += read_machines(content)

    assert len(machines) > 5
    strange = [
        name
        for name, machine in machines
        if machine != (ELF_MACHINE_OF_KERNEL_PROGRAMS if name.endswith(".o") else ELF_MACHINES[architecture])
    ]
    assert strange == []


def test_it_can_be_installed_without_anything_else(
    bundle: dict[str, bytes], architecture: str, tmp_path: Path
) -> None:
    (tmp_path / "wheels").mkdir()
    for name, content in bundle.items():
        (tmp_path / name).write_bytes(content)
    ended = subprocess.run(
        [
            *(PROGRAMS / "uv", "pip", "install", "--dry-run", "--offline", "--no-index", "--require-hashes"),
            *("--python", sys.executable, "--python-version", "3.13", "--target", "installed"),
            *("--python-platform", f"{architecture}-manylinux_2_28", "--find-links", "wheels"),
            *("--requirement", "requirements.txt"),
        ],
        cwd=tmp_path,
        env={**os.environ, "UV_NO_CACHE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("\n + ") == len(bundle["requirements.txt"].splitlines())


def test_debian_packages_are_whole_and_for_the_processor(architecture: str) -> None:
    debian = {"x86_64": "amd64", "aarch64": "arm64"}[architecture]

    assert find_problems(str(ROOT / f"dist/apt/debian13-{debian}.tar"), read_packages(), architecture) == []
