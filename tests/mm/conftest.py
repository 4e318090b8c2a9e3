# SPDX-License-Identifier: GPL-2.0-only
"""A machine for states built by hand, on each arch. Nothing checks it afterwards: some of these states no kernel could reach."""

import pytest

from rmapemu import Machine


@pytest.fixture
def m(arch):
    with Machine(arch, "16M", swap="1M") as made:
        yield made


@pytest.fixture
def lab(m):
    return m.lab


@pytest.fixture
def rmap(m):
    return m.rmap
