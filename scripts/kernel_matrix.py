"""Try the relay's programs on other kernels, each in a machine of QEMU's: load them and run every vector.

    python scripts/kernel_matrix.py [linux-image-6.1.0-56-cloud-amd64 …]

    objects, vectors ─▶ programs.h ─▶ init (static) ─▶ initrd ─▶ qemu -kernel … ─▶ "xdp: 192 of 192 vectors"

Without names it takes Debian's cloud kernels 6.1 and 6.12, the newest that apt knows. Verifiers differ: what
one kernel takes, an older one may refuse. Needs apt, gcc, cpio and qemu-system-x86.
"""

import gzip
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from turnnode.kernel.layout import pack_control, pack_flow
from turnnode.kernel.object_file import read_program
from turnnode.kernel.proof import build_frame, expected_frame, hop_of, list_tagged_vectors, list_vectors

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = ROOT / "turnnode" / "src" / "turnnode" / "kernel"
PORT: Final = 3478
SIZES: Final = (0, 1, 160, 1200)
MAPS: Final = ("flows", "states", "hops", "buckets", "control", "scratch")
SERIES: Final = (r"linux-image-6\.1\.\d+-\d+-cloud-amd64", r"linux-image-6\.12\.\d+\+deb12-cloud-amd64")
BOOT_SECONDS: Final = 120
TOOLS: Final = ("apt-get", "dpkg-deb", "gcc", "cpio", "qemu-system-x86_64")


def main() -> None:
    """Try every kernel; exit with 1 if one of them does not pass all vectors."""
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if missing:
        raise SystemExit(
            f"This needs {', '.join(missing)}: apt-get install gcc cpio qemu-system-x86 dpkg apt"
        )
    names = sys.argv[1:] or [find_newest(series) for series in SERIES]
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        build_initrd(directory)
        verdicts = [try_kernel(directory, name) for name in names]
    print(f"{verdicts.count(True)} kernels passed, {verdicts.count(False)} failed")
    sys.exit(0 if all(verdicts) else 1)


def find_newest(series: str) -> str:
    """Find the newest package of a series that apt knows."""
    known = subprocess.run(["apt-cache", "pkgnames"], check=True, capture_output=True, text=True).stdout
    found = [name for name in known.split() if re.fullmatch(series, name)]
    if not found:
        raise SystemExit(f"apt knows no package like {series}: name one, or run `apt-get update`.")
    return max(found, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def build_initrd(directory: Path) -> None:
    """Build a file system of one program."""
    (directory / "programs.h").write_text(write_programs())
    root = directory / "root"
    root.mkdir()
    subprocess.run(
        [
            *("gcc", "-O1", "-Wall", "-Werror", "-static", f"-I{directory}"),
            *("-o", root / "init", ROOT / "tests" / "kernels" / "init.c"),
        ],
        check=True,
    )
    archive = subprocess.run(
        ["cpio", "--create", "--format=newc", "--quiet"],
        cwd=root,
        input=b"init\n",
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    (directory / "initrd").write_bytes(gzip.compress(archive))


def write_programs() -> str:
    """Write programs and vectors as C."""
    lines = []
    for section in ("xdp", "tc"):
        program = read_program((PACKAGE / f"relay_{section}.o").read_bytes(), section)
        relocations = ",".join(f"{{{offset},{MAPS.index(name)}}}" for offset, name in program.maps)
        lines += [
            f"static unsigned char {section}_code[] = {_list(program.instructions)};",
            f"static const struct relocation {section}_maps[] = {{{relocations}}};",
        ]
    lines.append("static const struct vector vectors[] = {")
    for vector in (*list_vectors(PORT), *list_tagged_vectors(PORT)):
        for size in SIZES:
            frame = build_frame(vector.before, bytes(size), tag=vector.tags[0])
            expected = expected_frame(vector, bytes(size))
            flow = pack_flow(vector.before, vector.after, slot=1, hop=0)
            fields = map(_list, (vector.before.pack(), flow, hop_of(vector).pack(), frame, expected))
            lengths = f"{len(frame)},{len(expected)},{int(any(vector.tags))}"
            lines.append(f"{{{','.join(fields)},{lengths}}},")
    settings = pack_control(lease_until_ns=1 << 62, ports=(443, PORT))
    lines += [
        "};",
        f"static const unsigned char control[] = {_list(settings)};",
    ]
    return "\n".join(lines) + "\n"


def try_kernel(directory: Path, package: str) -> bool:
    """Boot a kernel, print what it says, and tell whether all vectors passed."""
    home = directory / package
    home.mkdir()
    subprocess.run(["apt-get", "download", "--quiet=2", package], cwd=home, check=True)
    (archive,) = home.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", archive, home], check=True)
    (kernel,) = home.glob("boot/vmlinuz-*")
    said = subprocess.run(
        [
            *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512", "-nographic", "-no-reboot"),
            *("-net", "none", "-kernel", kernel, "-initrd", directory / "initrd"),
            *("-append", "console=ttyS0 quiet panic=-1 rdinit=/init"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=BOOT_SECONDS,
        check=True,
    ).stdout.decode(errors="replace")
    passed = re.findall(r"(xdp|tc): (\d+) of (\d+) vectors", said)
    is_good = len(passed) == 2 and all(good == count for _, good, count in passed)
    print(f"{package}:", ", ".join(f"{name} {good}/{count}" for name, good, count in passed) or said)
    return is_good


def _list(content: bytes) -> str:
    return "{" + ",".join(map(str, content)) + "}"


if __name__ == "__main__":
    main()
