# SPDX-License-Identifier: GPL-2.0-only
"""What all tests share: the tree, the archs that it carries, hypothesis' settings."""

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import settings

TREE = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((TREE / "pyproject.toml").read_text())
ARCHS = sorted(PYPROJECT["project"]["entry-points"]["rmapemu.arch"])

# No deadline: other work on the machine must not fail a test. HYPOTHESIS_PROFILE=thorough for long runs.
settings.register_profile("default", deadline=None, max_examples=50)
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True, print_blob=True)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))


@pytest.fixture(scope="session")
def tree() -> Path:
    """Top of the source tree."""
    return TREE


@pytest.fixture(scope="session")
def pyproject() -> dict:
    """pyproject.toml, parsed."""
    return PYPROJECT


@pytest.fixture(params=ARCHS)
def arch(request) -> str:
    """Name of an arch: a test that takes it runs once on each that ships."""
    return request.param


@pytest.fixture
def machine(arch):
    """A machine of 16 MiB with as much swap, on each arch; checked when the test is over, unless it was closed or killed."""
    from rmapemu import Machine

    made = Machine(arch, "16M", swap="16M")
    yield made
    if not made.closed and not made.dead:
        made.check()
