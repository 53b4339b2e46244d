"""requirements.lock is whole, exact and free of anything local."""

import re
import tomllib

from packaging.requirements import Requirement

from scripts.lock import LOCK, ROOT, canonical, locked, requirements


def test_the_lock_satisfies_what_the_project_asks_for():
    versions = locked(LOCK.read_text())
    asked = requirements(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    for requirement in map(Requirement, asked):
        version = versions[canonical(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} is locked at {version}; `make lock`"


def test_the_lock_names_exact_versions_and_nothing_else():
    lines = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][a-z0-9.]*", line) for line in lines)
    assert lines == sorted(lines, key=lambda line: line.partition("==")[0])
