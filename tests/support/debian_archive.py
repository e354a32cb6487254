"""A small archive of Debian packages, signed as Debian's is, for tests of what apt makes of it."""

import subprocess
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

ARCHITECTURE = "amd64"
INDEX = f"main/binary-{ARCHITECTURE}/Packages"
CONTROL = """Package: {name}
Version: {version}
Architecture: {architecture}
Maintainer: Nobody <nobody@example.org>
Depends: {depends}
Recommends: {recommends}
Description: made for a test
"""


@dataclass(frozen=True, slots=True)
class Package:
    """A package that holds nothing."""

    name: str
    version: str = "1.0"
    depends: str = ""
    recommends: str = ""


@dataclass(slots=True)
class Archive:
    """An archive in a directory. It has to be published after each change."""

    directory: Path
    packages: list[Package]
    _home: Path = field(init=False)

    def __post_init__(self) -> None:
        self._home = self.directory / "gpg"
        self._home.mkdir(mode=0o700, parents=True)
        self._gpg("--passphrase", "", "--quick-generate-key", "Archive", "ed25519", "sign")

    @property
    def mirror(self) -> str:
        """Its address. With `file:` apt would leave packages where they are."""
        return f"copy:{self.directory}"

    @property
    def keyring(self) -> Path:
        """The public key, as apt takes it."""
        return self.directory / "keyring.gpg"

    def find_package(self, name: str) -> Path:
        """Find the file of a package."""
        return next((self.directory / "pool").glob(f"{name}_*.deb"))

    def publish(self) -> None:
        """Build packages, list and signature."""
        index = self.directory / "dists/trixie" / INDEX
        index.parent.mkdir(parents=True)
        (self.directory / "pool").mkdir()
        index.write_text("\n".join(self._build(package) for package in self.packages))
        content = index.read_bytes()
        release = self.directory / "dists/trixie/Release"
        release.write_text(
            "Origin: Debian\nSuite: stable\nCodename: trixie\nDate: Sat, 09 Aug 2025 10:00:00 UTC\n"
            f"Architectures: {ARCHITECTURE}\nComponents: main\n"
            f"SHA256:\n {sha256(content).hexdigest()} {len(content)} {INDEX}\n"
        )
        self._gpg("--clearsign", "--output", str(release.with_name("InRelease")), str(release))
        release.unlink()
        self._gpg("--output", str(self.keyring), "--export")
        _run("gpgconf", "--homedir", str(self._home), "--kill", "all")  # gpg has left an agent behind

    def _build(self, package: Package) -> str:
        tree = self.directory / "trees" / package.name
        (tree / "DEBIAN").mkdir(parents=True)
        fields = {"name": package.name, "version": package.version, "architecture": ARCHITECTURE}
        text = CONTROL.format(**fields, depends=package.depends, recommends=package.recommends)
        # A field without a value is not allowed.
        control = "".join(line for line in text.splitlines(keepends=True) if not line.endswith(": \n"))
        (tree / "DEBIAN/control").write_text(control)
        version = package.version.rpartition(":")[2]
        name = f"pool/{package.name}_{version}_{ARCHITECTURE}.deb"
        _run("dpkg-deb", "--build", "--root-owner-group", str(tree), str(self.directory / name))
        content = (self.directory / name).read_bytes()
        return f"{control}Filename: {name}\nSize: {len(content)}\nSHA256: {sha256(content).hexdigest()}\n"

    def _gpg(self, *arguments: str) -> None:
        _run("gpg", "--homedir", str(self._home), "--batch", "--quiet", "--yes", *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)
