"""Two small policies in folders of their own."""

from pathlib import Path

import pytest
from served_models import make_policy


@pytest.fixture(scope="session")
def policies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders "before" and "after" with policies that answer differently."""
    root = tmp_path_factory.mktemp("policies")
    return make_policy(root / "before", 1), make_policy(root / "after", 2)
