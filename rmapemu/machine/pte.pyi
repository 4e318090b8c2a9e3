# SPDX-License-Identifier: GPL-2.0-only
from typing import NamedTuple

class Pte(NamedTuple):
    kind: str
    raw: int
    pfn: int = 0
    write: bool = False
    young: bool = False
    dirty: bool = False
    special: bool = False
    exec: bool = False
    protnone: bool = False
    swap_type: int = 0
    offset: int = 0
    pgoff: int = 0
