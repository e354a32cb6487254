"""What the node's own admin sets, and that it outlives a restart."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mailnode.accounts.overrides import (
    FILE_NAME,
    LocalOverrides,
    Overrides,
    OverridesError,
    effective,
    list_overridden,
)
from mailnode.accounts.policy import Policy, PolicyHolder

pytestmark = pytest.mark.anyio
overrides = st.builds(
    Overrides,
    registration_open=st.none() | st.booleans(),
    jit_enabled=st.none() | st.booleans(),
    quota_bytes=st.none() | st.integers(0, 1 << 40),
    message_bytes=st.none() | st.integers(1, 1 << 40),
)
policies = st.builds(Policy, registration_open=st.booleans(), quota_bytes=st.integers(0, 9))


def open_overrides(directory: Path, policy: Policy | None = None) -> LocalOverrides:
    opened = LocalOverrides(state_directory=directory, policy=PolicyHolder(policy or Policy()))
    opened.load()
    return opened


@given(policies, overrides)
def test_what_is_set_here_wins_and_the_rest_is_the_control_planes(policy: Policy, mine: Overrides) -> None:
    result = effective(policy, mine)

    for name in ("registration_open", "jit_enabled", "quota_bytes", "message_bytes"):
        own = getattr(mine, name)
        assert getattr(result, name) == (getattr(policy, name) if own is None else own)
        assert (name in list_overridden(mine)) == (own is not None)


async def test_change_is_in_force_and_outlives_a_restart(tmp_path: Path) -> None:
    before = open_overrides(tmp_path)
    await before.change(registration_open=False, quota_bytes=5)
    assert before.policy.current == Policy(registration_open=False, quota_bytes=5)

    after = open_overrides(tmp_path)

    assert after.policy.current == before.policy.current
    assert list_overridden(after.current) == ("registration_open", "quota_bytes")


async def test_override_holds_against_the_control_plane_until_cleared(tmp_path: Path) -> None:
    opened = open_overrides(tmp_path)
    await opened.change(registration_open=False)

    opened.accept(Policy(registration_open=True, quota_bytes=7))
    assert opened.policy.current == Policy(registration_open=False, quota_bytes=7)

    await opened.change(registration_open=None)
    assert opened.policy.current == Policy(registration_open=True, quota_bytes=7)
    assert open_overrides(tmp_path).current == Overrides()


async def test_clear_clears_everything(tmp_path: Path) -> None:
    opened = open_overrides(tmp_path)
    await opened.change(registration_open=False, jit_enabled=False, quota_bytes=0, message_bytes=1)
    assert len(list_overridden(opened.current)) == 4

    await opened.clear()

    assert opened.policy.current == Policy()
    assert list_overridden(opened.current) == ()


@pytest.mark.parametrize("content", [b"", b"{", b'{"quota_bytes": -1}', b'{"colour": 1}', b"[]", b"\xff"])
async def test_broken_file_is_named_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)

    with pytest.raises(OverridesError, match=r"overrides.json is wrong: .*Correct it or remove it"):
        open_overrides(tmp_path)


async def test_unreadable_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()

    with pytest.raises(OverridesError, match=r"cannot be read"):
        open_overrides(tmp_path)


async def test_change_that_cannot_be_kept_is_not_made(tmp_path: Path) -> None:
    opened = open_overrides(tmp_path)
    (tmp_path / "overrides.json.new").mkdir()

    with pytest.raises(OverridesError, match=r"cannot be written"):
        await opened.change(registration_open=False)

    assert opened.policy.current == Policy()
    assert opened.current == Overrides()


@pytest.mark.parametrize("settings", [{"quota_bytes": -1}, {"message_bytes": 0}, {"colour": 1}])
async def test_impossible_value_is_refused(tmp_path: Path, settings: dict[str, int]) -> None:
    opened = open_overrides(tmp_path)

    with pytest.raises(ValidationError):
        await opened.change(**settings)

    assert not (tmp_path / FILE_NAME).exists()


async def test_half_written_file_does_not_count(tmp_path: Path) -> None:
    await open_overrides(tmp_path).change(quota_bytes=5)
    (tmp_path / "overrides.json.new").write_bytes(b'{"quota_b')

    assert open_overrides(tmp_path).current == Overrides(quota_bytes=5)
