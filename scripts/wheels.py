"""Build what the playbook installs: one bundle per program and architecture, complete and hashed.

    requirements/PROGRAM.txt ─▶ those of the nodes' platform ─▶ wheelhouse/ARCHITECTURE ─┐
    our packages ─▶ dist/wheels ─────────────────────────────────────────────────────────┴▶ dist/bundles

A bundle holds `requirements.txt` with a hash for each wheel, `wheels/`, and `uv`, which installs them.
The same content gives the same bytes, because the role python_app names a release by the bundle's hash.
A bundle whose sources have not changed is left as it is; `NAME.tar.gz.made` tells what it was made of.

For: `make wheels`. It needs a package registry; hosts do not.
Not for: installing (ansible/roles/python_app).
"""

import argparse
import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
BUNDLES = ROOT / "dist" / "bundles"
PYTHON_VERSION = "3.13"  # Debian 13's
SERVICES = ("controlplane", "mailnode", "turnnode")
TOOLS = ("certbot",)
ARCHITECTURES = ("x86_64", "aarch64")
PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
COMMAND_SECONDS = 600

Members = dict[str, tuple[bytes, int]]
"""What an archive holds: content and mode by name."""


class BundleError(Exception):
    """A bundle cannot be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel on disk."""

    path: Path
    digest: str

    @property
    def requirement(self) -> str:
        """The line that names this very wheel."""
        name, version = self.path.name.split("-")[:2]
        return f"{name}=={version} --hash=sha256:{self.digest}"


def read_wheels(directory: Path) -> list[Wheel]:
    """Read which wheels there are, in the order of their names."""
    return [Wheel(path, sha256(path.read_bytes()).hexdigest()) for path in sorted(directory.glob("*.whl"))]


def choose_wheels(wheels: list[Wheel], requirements: str) -> list[Wheel]:
    """Choose the wheels whose hashes stand in a requirements file.

    Raises:
        BundleError: A requirement has no wheel here.
    """
    hashes = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", requirements))
    chosen = [wheel for wheel in wheels if wheel.digest in hashes]
    have = {_normalise(wheel.path.name.split("-")[0]) for wheel in chosen}
    for name in re.findall(r"^([A-Za-z0-9._-]+)==", requirements, re.MULTILINE):
        if _normalise(name) not in have:
            raise BundleError(f"There is no wheel of {name}. Remove wheelhouse/ and run again.")
    return chosen


def choose_own_wheels(own: list[Wheel], program: str) -> list[Wheel]:
    """Choose the wheels of ours that a service is made of; a tool of others has none."""
    names = {program, "nodelink"} if program in SERVICES else set()
    return [wheel for wheel in own if wheel.path.name.split("-")[0] in names]


def write_archive(path: Path, members: Members) -> None:
    """Write a compressed tar whose bytes depend on nothing but its members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:  # noqa: SIM117 - nested lives
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for name in sorted(members):
                content, mode = members[name]
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), mode
                archive.addfile(entry, io.BytesIO(content))
    draft.replace(path)


def extract_uv(wheel: Wheel) -> bytes:
    """Read the program out of uv's own wheel."""
    with zipfile.ZipFile(wheel.path) as archive:
        return next(archive.read(name) for name in archive.namelist() if name.endswith(".data/scripts/uv"))


def make_bundle(bundle: Path, program: str, architecture: str, own: list[Wheel]) -> None:
    """Fetch what a program needs on an architecture, and pack it.

    Raises:
        BundleError: Something cannot be had as a wheel with the hash that is written down.
    """
    house = ROOT / "wheelhouse" / architecture
    house.mkdir(parents=True, exist_ok=True)
    needed = house / f"{program}.txt"
    _resolve(ROOT / "requirements" / f"{program}.txt", needed, architecture)
    tool = house / "uv.txt"
    tool.write_text(_read_requirement("uv", (ROOT / "requirements/dev.txt").read_text()))
    for requirements in (needed, tool):
        _download(requirements, house, architecture)

    wheels = read_wheels(house)
    ours = choose_own_wheels(own, program)
    lines = [wheel.requirement for wheel in choose_wheels(wheels, needed.read_text()) + ours]
    members: Members = {
        f"wheels/{wheel.path.name}": (wheel.path.read_bytes(), 0o644)
        for wheel in choose_wheels(wheels, needed.read_text()) + ours
    }
    members["requirements.txt"] = ("\n".join(sorted(lines)) + "\n").encode(), 0o644
    members["uv"] = extract_uv(choose_wheels(wheels, tool.read_text())[0]), 0o755
    write_archive(bundle, members)


def compute_fingerprint(program: str, root: Path = ROOT) -> str:
    """Hash everything in the repository that decides what is in a bundle."""
    packages = (program, "nodelink") if program in SERVICES else ()
    sources = [path for package in packages for path in (root / package).rglob("*") if path.is_file()]
    settings = [
        root / "scripts/wheels.py",
        root / f"requirements/{program}.txt",
        root / "requirements/dev.txt",
    ]
    fingerprint = sha256()
    for path in sorted(settings + [path for path in sources if "__pycache__" not in path.parts]):
        content = path.read_bytes()
        fingerprint.update(f"{path.relative_to(root)} {len(content)}\n".encode() + content)
    return fingerprint.hexdigest()


def describe_bundle(bundle: Path, fingerprint: str) -> str:
    """Write what a bundle was made of, and its own hash: one that was cut or altered is made again."""
    return f"{fingerprint} {sha256(bundle.read_bytes()).hexdigest()}\n"


def is_current(bundle: Path, fingerprint: str) -> bool:
    """Tell whether a bundle is what would be made anew."""
    note = bundle.with_name(bundle.name + ".made")
    return bundle.exists() and note.exists() and note.read_text() == describe_bundle(bundle, fingerprint)


def find_bundle(program: str, architecture: str) -> Path:
    """Find where a bundle lies, or will."""
    return BUNDLES / f"{program}-{architecture}.tar.gz"


def update_bundle(program: str, architecture: str) -> bool:
    """Make a bundle, unless it is what would be made; tell whether it was. Raises: BundleError."""
    bundle = find_bundle(program, architecture)
    fingerprint = compute_fingerprint(program)
    if is_current(bundle, fingerprint):
        return False
    make_bundle(bundle, program, architecture, build_own_wheels())
    bundle.with_name(bundle.name + ".made").write_text(describe_bundle(bundle, fingerprint))
    return True


@cache
def build_own_wheels() -> list[Wheel]:
    """Build the wheels of our packages anew."""
    directory = ROOT / "dist" / "wheels"
    shutil.rmtree(directory, ignore_errors=True)
    _run(str(PROGRAMS / "uv"), "build", "--quiet", "--all-packages", "--wheel", "--out-dir", str(directory))
    return read_wheels(directory)


def _resolve(source: Path, target: Path, architecture: str) -> None:
    """Leave out what belongs to other platforms; versions stay as they are written down."""
    _run(
        *(str(PROGRAMS / "uv"), "pip", "compile", "--quiet", "--no-deps", "--generate-hashes"),
        *("--python-version", PYTHON_VERSION, "--python-platform", f"{architecture}-manylinux_2_28"),
        *("--no-emit-index-url", "--no-annotate", "--no-header", str(source), "--output-file", str(target)),
    )


def _download(requirements: Path, directory: Path, architecture: str) -> None:
    _run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--require-hashes", "--only-binary=:all:", "--implementation", "cp"),
        *("--python-version", PYTHON_VERSION, "--dest", str(directory), "--requirement", str(requirements)),
        *(word for platform in PLATFORMS for word in ("--platform", f"{platform}_{architecture}")),
    )


def _read_requirement(name: str, requirements: str) -> str:
    found = re.search(rf"^{re.escape(name)}==(?:.*\\\n)*.*\n?", requirements, re.MULTILINE)
    if found is None:
        raise BundleError(f"requirements/dev.txt names no {name}. Run `make lock`.")
    return found.group()


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _run(*command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )
    if ended.returncode != 0:
        raise BundleError(f"{' '.join(command[:3])} failed: {ended.stderr.strip()}")


def main() -> None:
    """Build the bundles of all services and tools."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--architecture", action="append", choices=ARCHITECTURES, help="all, if not given")
    options = parser.parse_args()
    try:
        for architecture in options.architecture or ARCHITECTURES:
            for program in SERVICES + TOOLS:
                was_made, bundle = update_bundle(program, architecture), find_bundle(program, architecture)
                state = "" if was_made else ", unchanged"
                print(f"{bundle.relative_to(ROOT)}  {bundle.stat().st_size / 1e6:.1f} MB{state}", flush=True)
    except BundleError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
