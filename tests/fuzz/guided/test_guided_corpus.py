"""What guided fuzzing has found worth keeping still holds."""

from pathlib import Path

import pytest

from fuzz.guided.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("name", TARGETS)
def test_corpus_holds(name: str) -> None:
    files = sorted((CORPUS / name).iterdir())

    assert files
    for file in files:
        TARGETS[name](file.read_bytes())
