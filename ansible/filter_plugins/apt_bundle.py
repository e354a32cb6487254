"""Filter that judges a bundle of Debian packages, with sentences that say what to do instead.

For: the role host_setup, before the bundle is copied to a host.
Not for: what Debian has signed; scripts/apt_bundle.py lets apt check that when it builds the bundle. What
depends on what is apt's to find out, on the host.
"""

import re
import tarfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

INDEX = "packages/Packages"
REMEDY = "Build it with `make apt-bundle`"
MAX_INDEX_BYTES = 10_000_000
DEBIAN_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
READING_ERRORS = (tarfile.TarError, OSError, EOFError, ValueError)


def find_apt_bundle_problems(path: str, packages: list[str], machine: str) -> list[str]:
    """Find problems; an empty list means that there are none.

    Args:
        path: Where the bundle lies.
        packages: What it must have, by name.
        machine: The host's architecture as its kernel calls it, such as `x86_64`.
    """
    if not Path(path).is_file():
        return [
            f"host_setup_apt_bundle is {path}, and there is no such file. {REMEDY}, or write another path."
        ]
    try:
        with tarfile.open(path, "r:") as archive:
            index = _read_index(archive)
            return [
                *_check_packages(path, index, packages, DEBIAN_ARCHITECTURES.get(machine, machine)),
                *_check_files(path, index, archive),
            ]
    except READING_ERRORS:
        return [f"{path} is no bundle of Debian packages. {REMEDY}."]


def _read_index(archive: tarfile.TarFile) -> list[dict[str, str]]:
    """Read the first line of each field; what continues on further lines is nothing that we look at."""
    file = archive.extractfile(INDEX) if INDEX in archive.getnames() else None
    text = file.read(MAX_INDEX_BYTES).decode() if file else ""
    stanzas = [
        dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", part, re.MULTILINE)) for part in text.split("\n\n")
    ]
    index = [stanza for stanza in stanzas if stanza]
    if not index or not all(
        {"Package", "Architecture", "Filename", "SHA256"} <= stanza.keys() for stanza in index
    ):
        raise ValueError(INDEX)
    return index


def _check_packages(
    path: str, index: list[dict[str, str]], packages: list[str], architecture: str
) -> Iterator[str]:
    architectures = {stanza["Architecture"] for stanza in index} - {"all"}
    if architectures != {architecture}:
        yield (
            f"{path} is for {' and '.join(sorted(architectures)) or 'no architecture'}, and this host is"
            f" {architecture}. Write the bundle for {architecture}, debian13-{architecture}.tar."
        )
    missing = sorted(set(packages) - {stanza["Package"] for stanza in index})
    if missing:
        yield (
            f"{path} lacks {', '.join(missing)}. Build it anew:"
            f' make apt-bundle PACKAGES="{" ".join(missing)}".'
        )


def _check_files(path: str, index: list[dict[str, str]], archive: tarfile.TarFile) -> Iterator[str]:
    members = {member.name: member for member in archive if member.isreg()}
    for stanza in index:
        name = stanza["Filename"].removeprefix("./")
        member = members.get(f"packages/{name}")
        content = archive.extractfile(member) if member else None
        if content is None or sha256(content.read()).hexdigest() != stanza["SHA256"]:
            yield f"{path} is damaged: {name} is not what its list says. {REMEDY} again, or copy it again."
            return


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters."""
        return {"find_apt_bundle_problems": find_apt_bundle_problems}
