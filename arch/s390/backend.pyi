# SPDX-License-Identifier: GPL-2.0-only
from collections.abc import Iterable

from rmapemu.hw.ops import Backend

class Compiled(Backend):
    def __init__(self, name: str, capabilities: Iterable[str] = ()) -> None: ...

ARCH: Compiled
