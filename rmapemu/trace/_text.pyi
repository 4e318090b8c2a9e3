# SPDX-License-Identifier: GPL-2.0-only
from typing import Any

LINE_MAX_BYTES: int
ACCESS_MAX_BYTES: int
ERROR_LINE: int
REASONS: dict[int, str]

class Scanner:
    lines: int
    skipped: int
    modifies: int
    error: int
    def __init__(self, *, lackey: bool, instructions: bool = True) -> None: ...
    def scan(self, text: Any, start: int, stop: int, address: Any, size: Any, kind: Any, filled: int) -> tuple[int, int]: ...

def parse_numbers(text: Any, offsets: Any, bare_hex: bool, out: Any) -> int: ...
