"""A bundle is complete, and the same content gives the same bytes."""

import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from wheels import (
    BundleError,
    Wheel,
    choose_own_wheels,
    choose_wheels,
    compute_fingerprint,
    describe_bundle,
    is_current,
    read_wheels,
    write_archive,
)


def make_wheel(directory: Path, name: str, content: bytes) -> Wheel:
    path = directory / name
    path.write_bytes(content)
    return Wheel(path, sha256(content).hexdigest())


def test_wheels_are_chosen_by_hash_not_by_name(tmp_path: Path) -> None:
    wanted = make_wheel(tmp_path, "one-1.0-py3-none-any.whl", b"wanted")
    make_wheel(tmp_path, "one-1.1-py3-none-any.whl", b"another version")
    requirements = f"one==1.0 --hash=sha256:{'0' * 64} --hash=sha256:{wanted.digest}\n"

    assert choose_wheels(read_wheels(tmp_path), requirements) == [wanted]


def test_a_requirement_without_a_wheel_is_refused_by_name(tmp_path: Path) -> None:
    make_wheel(tmp_path, "one-1.0-py3-none-any.whl", b"altered on its way")

    with pytest.raises(BundleError, match=r"no wheel of one\."):
        choose_wheels(read_wheels(tmp_path), f"one==1.0 --hash=sha256:{'0' * 64}\n")


def test_a_name_is_found_however_it_is_spelt(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "some_Package-1.0-py3-none-any.whl", b"content")

    assert choose_wheels([wheel], f"some.package==1.0 --hash=sha256:{wheel.digest}\n") == [wheel]


def test_a_service_is_made_of_its_own_wheel_and_the_shared_one_and_a_tool_of_none(tmp_path: Path) -> None:
    own = [
        make_wheel(tmp_path, f"{name}-0.1.0-py3-none-any.whl", name.encode())
        for name in ("controlplane", "mailnode", "nodelink")
    ]

    assert choose_own_wheels(own, "mailnode") == own[1:]
    assert choose_own_wheels(own, "certbot") == []


def test_a_name_that_is_long_can_be_packed(tmp_path: Path) -> None:
    name = f"wheels/{'x' * 200}.whl"

    write_archive(tmp_path / "a.tar.gz", {name: (b"content", 0o644)})

    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        assert archive.getnames() == [name]


def test_a_requirement_pins_version_and_hash(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "one-1.0-cp313-abi3-manylinux_2_28_x86_64.whl", b"content")

    assert wheel.requirement == f"one==1.0 --hash=sha256:{wheel.digest}"


def test_the_same_members_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    first, second = tmp_path / "a.tar.gz", tmp_path / "b.tar.gz"

    write_archive(first, {"uv": (b"program", 0o755), "requirements.txt": (b"one==1.0\n", 0o644)})
    write_archive(second, {"requirements.txt": (b"one==1.0\n", 0o644), "uv": (b"program", 0o755)})

    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        assert [(entry.name, entry.mode, entry.mtime) for entry in archive] == [
            ("requirements.txt", 0o644, 0),
            ("uv", 0o755, 0),
        ]


def make_sources(root: Path) -> None:
    for name in (
        *(
            "scripts/wheels.py",
            "requirements/dev.txt",
            "requirements/mailnode.txt",
            "requirements/certbot.txt",
        ),
        *(
            "mailnode/src/mailnode/daemon.py",
            "nodelink/src/nodelink/keys.py",
            "turnnode/src/turnnode/daemon.py",
        ),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


@pytest.mark.parametrize(
    ("program", "changed", "is_seen"),
    [
        ("mailnode", "mailnode/src/mailnode/daemon.py", True),
        ("mailnode", "nodelink/src/nodelink/keys.py", True),
        ("mailnode", "requirements/mailnode.txt", True),
        ("mailnode", "mailnode/src/mailnode/new.py", True),
        ("mailnode", "turnnode/src/turnnode/daemon.py", False),
        ("mailnode", "mailnode/src/mailnode/__pycache__/daemon.pyc", False),
        ("certbot", "nodelink/src/nodelink/keys.py", False),
        ("certbot", "requirements/dev.txt", True),
    ],
)
def test_a_bundle_is_made_anew_when_what_it_is_made_of_changes(
    tmp_path: Path, program: str, changed: str, *, is_seen: bool
) -> None:
    make_sources(tmp_path)
    before = compute_fingerprint(program, tmp_path)

    (tmp_path / changed).parent.mkdir(exist_ok=True)
    (tmp_path / changed).write_text("changed")

    assert (compute_fingerprint(program, tmp_path) != before) is is_seen


def test_a_bundle_that_was_cut_is_not_taken_for_current(tmp_path: Path) -> None:
    bundle = tmp_path / "mailnode-x86_64.tar.gz"
    bundle.write_bytes(b"whole")
    assert not is_current(bundle, "made of")
    bundle.with_name(bundle.name + ".made").write_text(describe_bundle(bundle, "made of"))
    assert is_current(bundle, "made of")
    assert not is_current(bundle, "made of something else")

    bundle.write_bytes(b"who")

    assert not is_current(bundle, "made of")
