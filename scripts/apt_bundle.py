"""Build what hosts without a network install from: Debian packages of the roles, with all that these need.

    packages of host_setup ─▶ apt, with settings and trust of its own ─▶ dist/apt/debian13-ARCHITECTURE.tar
    and of postgresql      ─▶                                         ─▶ dist/apt/debian13-databases-…

A bundle is a flat repository of apt: `Packages`, with a hash for each package, and the packages. apt itself
chooses and fetches them as if nothing were installed, and takes only what Debian has signed. It needs no
root, and neither reads nor writes which packages this computer has. The packages of databases are three
times as much as all others; they are a bundle of their own, which is copied to databases only.

For: `make apt-bundle`, on a computer with apt (Debian or Ubuntu) that reaches a mirror of Debian.
Not for: installing (ansible/roles/host_setup).
"""

import argparse
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

import yaml

ROOT = Path(__file__).resolve().parent.parent
ROLES = ROOT / "ansible/roles"
SUITE = "trixie"
SUITES_OF_DEBIAN = ("bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable")
ARCHITECTURES = ("amd64", "arm64")
KEYRINGS = tuple(Path(f"/usr/share/keyrings/debian-archive-keyring.{ending}") for ending in ("gpg", "pgp"))
DIRECTORIES = (
    "etc/apt/apt.conf.d",
    "etc/apt/preferences.d",
    "etc/apt/sources.list.d",
    "var/cache/apt/archives/partial",
    "var/lib/apt/lists/partial",
)
COMMAND_SECONDS = 600
SETTINGS = """{fetching}
Dir "{directory}/";
Dir::State::status "{directory}/status";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
"""


class AptBundleError(Exception):
    """A bundle cannot be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """One part of an archive: where it is, and the suite in it."""

    mirror: str
    suite: str


def read_packages(*, databases: bool = False) -> list[str]:
    """Read what the roles install on a host, or on one of the databases."""
    return [
        *_read_default("host_setup", "host_setup_packages"),
        *(_read_default("postgresql", "postgresql_packages") if databases else []),
    ]


def find_mirrors(index_targets: str) -> tuple[str, str]:
    """Find the mirrors of Debian and of its security updates; an empty one is not configured.

    Args:
        index_targets: Lines of address, suite and origin, separated by `|`. The origin is empty while apt
            has no lists yet; the name of the suite tells then.
    """
    mirror = security = ""
    for line in index_targets.splitlines():
        address, suite, origin = line.split("|")
        if origin != "Debian" and (origin or suite.partition("-")[0] not in SUITES_OF_DEBIAN):
            continue
        if suite.endswith("-security"):
            security = security or address
        else:
            mirror = mirror or address
    return mirror, security


def list_sources(mirror: str, security_mirror: str) -> list[Source]:
    """List what to fetch from, this computer's own mirrors where none is named.

    Raises:
        AptBundleError: No mirror is known.
    """
    if not mirror:
        own, own_security = find_mirrors(
            _run(
                "apt-get",
                "indextargets",
                "--format",
                "$(REPO_URI)|$(RELEASE)|$(ORIGIN)",
                "Identifier: Packages",
            )
        )
        mirror, security_mirror = own, security_mirror or own_security
    if not mirror:
        raise AptBundleError(
            "This computer's apt knows no mirror of Debian."
            " Name one: make apt-bundle MIRROR=… SECURITY_MIRROR=…"
        )
    sources = [Source(mirror, SUITE)]
    if security_mirror:
        sources.append(Source(security_mirror, f"{SUITE}-security"))
    return sources


def find_keyring() -> Path:
    """Find the keys of Debian's archive.

    Raises:
        AptBundleError: They are not installed.
    """
    for keyring in KEYRINGS:
        if keyring.exists():
            return keyring
    raise AptBundleError("Debian's keys are missing. Install them: apt-get install debian-archive-keyring")


def download(
    directory: Path, sources: list[Source], keyring: Path, architecture: str, packages: list[str]
) -> dict[str, Path]:
    """Let apt fetch packages with all that they need; return the stanza of `Packages` for each, and its file.

    Args:
        directory: Where apt has its settings, lists and packages; an empty directory.
        sources: Where to fetch from.
        keyring: Whose signatures are good.
        architecture: As Debian calls it.
        packages: What is wanted, by name.

    Raises:
        AptBundleError: A package is not to be had, or is not what Debian has signed.
    """
    for name in DIRECTORIES:
        (directory / name).mkdir(parents=True)
    (directory / "status").touch()
    (directory / "etc/apt/sources.list").write_text(
        "".join(f"deb [signed-by={keyring}] {source.mirror} {source.suite} main\n" for source in sources)
    )
    settings = directory / "apt.conf"
    # How this computer fetches, such as by a proxy, holds here, too.
    fetching = _run("apt-config", "dump", "Acquire")
    settings.write_text(SETTINGS.format(fetching=fetching, directory=directory, architecture=architecture))
    _run("apt-get", "--quiet", "--error-on=any", "update", settings=settings)
    _run("apt-get", "--quiet", "--yes", "--download-only", "install", *packages, settings=settings)
    return {
        _run("apt-cache", "show", _name_version(file), settings=settings).strip() + "\n": file
        for file in sorted((directory / "var/cache/apt/archives").glob("*.deb"))
    }


def write_bundle(path: Path, packages: dict[str, Path]) -> None:
    """Write a bundle whose bytes depend on nothing but its packages, and beside it its hash for `sha256sum`.

    Args:
        path: Where to write it.
        packages: The stanza of each package, and its file.
    """
    stanzas, members = [], {}
    for stanza, file in packages.items():
        # As the archive names it; apt's own name may have a `%3a` in it, which an address must not.
        address = next(line for line in stanza.splitlines() if line.startswith("Filename: "))
        name = address.rpartition("/")[2]
        stanzas.append(stanza.replace(address, f"Filename: ./{name}"))
        members[f"packages/{name}"] = file.read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    with tarfile.open(draft, "w", format=tarfile.USTAR_FORMAT) as archive:
        # The index comes first, so that a reader knows early what follows.
        for name, content in [("packages/Packages", "\n".join(stanzas).encode()), *sorted(members.items())]:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    digest = sha256(draft.read_bytes()).hexdigest()
    draft.replace(path)
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n")


def _read_default(role: str, variable: str) -> list[str]:
    packages: list[str] = yaml.safe_load((ROLES / role / "defaults/main.yml").read_text())[variable]
    return packages


def _name_version(file: Path) -> str:
    """Read `name:architecture=version` out of a file's name as apt writes it."""
    name, version, architecture = file.stem.split("_")
    architecture = "" if architecture == "all" else f":{architecture}"
    return f"{name}{architecture}={unquote(version)}"


def _run(*command: str, settings: Path | None = None) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    if settings is not None:
        environment["APT_CONFIG"] = str(settings)
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS
    )
    if ended.returncode != 0:
        raise AptBundleError(f"{' '.join(command[:2])} failed: {ended.stderr.strip()}")
    return ended.stdout


def main() -> None:
    """Build the bundles of all architectures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--architecture", action="append", choices=ARCHITECTURES, help="all, if not given")
    parser.add_argument("--mirror", default="", help="a mirror of Debian; this computer's own, if not given")
    parser.add_argument("--security-mirror", default="", help="a mirror of Debian's security updates")
    parser.add_argument("--package", action="append", default=[], help="one package more, may be repeated")
    parser.add_argument("--databases", action="store_true", help="a bundle for databases, too")
    options = parser.parse_args()
    if shutil.which("apt-get") is None:
        raise SystemExit(
            "This computer has no apt. Build the bundle on Debian or Ubuntu, and copy dist/apt from there."
        )
    try:
        keyring, sources = find_keyring(), list_sources(options.mirror, options.security_mirror)
        if len(sources) == 1:
            print("No mirror of security updates is known: the bundle has Debian 13 as it was released last.")
        for architecture in options.architecture or ARCHITECTURES:
            wanted = {"": read_packages()}
            if options.databases:
                wanted["databases-"] = read_packages(databases=True)
            for label, packages in wanted.items():
                bundle = ROOT / "dist/apt" / f"debian13-{label}{architecture}.tar"
                with tempfile.TemporaryDirectory(prefix="madfleet-apt-") as directory:
                    stanzas = download(
                        Path(directory), sources, keyring, architecture, packages + options.package
                    )
                    write_bundle(bundle, stanzas)
                size = bundle.stat().st_size / 1e6
                print(f"{bundle.relative_to(ROOT)}  {len(stanzas)} packages, {size:.1f} MB")
    except AptBundleError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
