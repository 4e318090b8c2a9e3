# SPDX-License-Identifier: GPL-2.0-only
"""A place for small trace files."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, bytes], str]:
    """put(name, data): a file with these bytes, its path."""

    def write(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return write
