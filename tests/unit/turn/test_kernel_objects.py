"""The objects of the package come from the sources beside them."""

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KERNEL = ROOT / "turnnode" / "src" / "turnnode" / "kernel"
OBJECTS = [KERNEL / "relay_xdp.o", KERNEL / "relay_tc.o", ROOT / "bench" / "turn" / "load.o"]
COMPILER = "1:14.0.6-12"


def has_compiler() -> bool:
    found = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Version}", "clang-14", "llvm-14", "libbpf-dev"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.returncode == 0 and found.stdout.startswith(COMPILER)


def test_objects_were_built_after_the_last_change_of_their_sources() -> None:
    lines = (ROOT / "turnnode/bpf/sources.sha256").read_text().splitlines()
    recorded = {name: digest for digest, name in (line.split() for line in lines)}
    sources = [*(ROOT / "turnnode" / "bpf").glob("*.[ch]"), *(ROOT / "bench" / "turn").glob("*.c")]

    assert recorded == {
        str(source.relative_to(ROOT)): sha256(source.read_bytes()).hexdigest() for source in sources
    }, "run `make bpf`"


@pytest.mark.skipif(not has_compiler(), reason=f"needs clang-14 {COMPILER}, llvm-14 and libbpf-dev")
def test_building_again_gives_the_same_bytes(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts" / "bpf.sh", tmp_path], check=True, timeout=60)

    for built in OBJECTS:
        assert (tmp_path / built.name).read_bytes() == built.read_bytes()
