# SPDX-License-Identifier: GPL-2.0-only
from collections.abc import Iterable
from typing import Self

from rmapemu.hw.ops import Backend

class Compiled(Backend):
    def __new__(cls, name: str, capabilities: Iterable[str] = ()) -> Self: ...

ARCH: Compiled
