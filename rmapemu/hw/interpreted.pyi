# SPDX-License-Identifier: GPL-2.0-only
from collections.abc import Iterable

from rmapemu.hw.format import Format
from rmapemu.hw.ops import Backend

class Interpreted(Backend):
    def __init__(self, format: Format, name: str | None = None, capabilities: Iterable[str] = ()) -> None: ...
