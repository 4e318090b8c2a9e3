# SPDX-License-Identifier: GPL-2.0-only
"""Backends to run every test of the hardware on: each arch compiled, and its format interpreted."""

import pytest

from rmapemu.hw import registry
from rmapemu.hw.interpreted import Interpreted


@pytest.fixture(params=["compiled", "interpreted"])
def backend(request, arch):
    """Every arch in both bindings."""
    compiled = registry.get(arch)
    return compiled if request.param == "compiled" else Interpreted(compiled.format)


@pytest.fixture
def x86_64():
    """The compiled x86-64 backend."""
    return registry.get("x86_64")


@pytest.fixture
def s390():
    """The compiled s390 backend."""
    return registry.get("s390")
