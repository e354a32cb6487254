"""The filters of the playbook by name, loaded as Ansible loads them: from files, not from the path."""

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "ansible" / "filter_plugins"


def load_filters() -> dict[str, Callable[..., Any]]:
    """Load every filter."""
    filters: dict[str, Callable[..., Any]] = {}
    for path in sorted(FOLDER.glob("*.py")):
        spec = spec_from_file_location(f"filter_plugin_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        filters |= module.FilterModule().filters()
    return filters
