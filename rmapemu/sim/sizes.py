# SPDX-License-Identifier: GPL-2.0-only
"""Amounts of memory as users give them to a replay: bytes, "64M", or a share of the touched pages ("10%", 0.1).

Models nothing of the kernel. Plain sizes are read by `rmapemu.machine.sizes`, as everywhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, isfinite
from typing import Any

import numpy as np

from rmapemu.machine.sizes import parse_size

_SHARE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


@dataclass(frozen=True)
class Memory:
    """An amount of memory: exactly one of `size_bytes` and `share` (of the touched pages, above 0) is set."""

    size_bytes: int | None = None
    share: Fraction | None = None

    def pages(self, touched_pages: int, page_shift: int) -> int:
        """Frames that this amount means for a trace that touches so many pages; a share is rounded up, a size down.

        >>> Memory(share=Fraction(1, 10)).pages(101, 12), Memory(size_bytes=8191).pages(101, 12)
        (11, 1)
        """
        if self.share is not None:
            return ceil(self.share * touched_pages)
        return (self.size_bytes or 0) >> page_shift


def parse_memory(value: Any, name: str = "memory") -> Memory:
    """A size in bytes, or a share: "10%" and the float 0.1 are a tenth of the touched pages; ints are bytes.

    >>> parse_memory("10%").share, parse_memory(0.1).share, parse_memory("64M").size_bytes
    (Fraction(1, 10), Fraction(1, 10), 67108864)
    """
    if isinstance(value, str) and (match := _SHARE.fullmatch(value)):
        share = Fraction(match[1]) / 100
    elif isinstance(value, (float, np.floating)):
        value = float(value)
        share = Fraction(value).limit_denominator(10**9) if isfinite(value) else Fraction(0)
    elif isinstance(value, str):
        try:
            size = parse_size(value, name)
        except ValueError as error:
            if "large" in str(error):
                raise
            raise ValueError(f"{name}={value!r}: expected bytes, a size like '64M' or a share like '10%'") from None
        return Memory(size_bytes=_positive(size, name, value))
    else:
        return Memory(size_bytes=_positive(parse_size(value, name), name, value))
    if share <= 0:
        raise ValueError(f"{name}={value!r}: expected a share above 0")
    return Memory(share=share)


def _positive(size: int, name: str, value: Any) -> int:
    if size <= 0:
        raise ValueError(f"{name}={value!r}: expected more than 0 bytes")
    return size
