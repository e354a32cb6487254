"""Rules of the house that no linter knows."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SERVICES = ("controlplane", "mailnode", "nodelink", "turnnode")
MODULES = [path for service in SERVICES for path in sorted((ROOT / service / "src").rglob("*.py"))]
FORBIDDEN_NAMES = {"common", "utils", "helpers", "misc", "base", "core", "lib", "manager"}
MAX_LINES = 400
LONGER_WITH_REASON = {
    "sqlite_store.py": "all methods of the MailStore Protocol, each a few lines that call the SQL",
}


def test_there_are_modules_to_judge() -> None:
    assert len(MODULES) > 100


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_has_a_telling_name_a_docstring_and_a_bearable_length(module: Path) -> None:
    text = module.read_text()

    assert not {module.stem, module.parent.name} & FORBIDDEN_NAMES
    assert text.startswith(('"""', 'r"""')) or not text.strip()
    assert text.count("\n") <= MAX_LINES or module.name in LONGER_WITH_REASON


@pytest.mark.parametrize("readme", ["README.md", "README.fa.md"])
def test_readme_names_the_two_commands_and_no_page_that_is_missing(readme: str) -> None:
    text = (ROOT / readme).read_text()

    assert "make up" in text
    assert "make test" in text
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_each_page_of_the_documentation_is_there_in_both_languages() -> None:
    english, persian = (
        {path.relative_to(ROOT / "docs" / language) for path in (ROOT / "docs" / language).rglob("*.*")}
        for language in ("en", "fa")
    )

    assert english == persian != set()


def test_requirements_are_hashed_and_name_no_registry() -> None:
    for file in sorted((ROOT / "requirements").glob("*.txt")):
        pins = re.findall(r"^[a-z0-9][^\n]*", file.read_text(), re.MULTILINE)
        assert pins
        assert all("==" in pin for pin in pins)
        assert "://" not in file.read_text()
