# SPDX-License-Identifier: GPL-2.0-only
"""Arrays of addresses and kinds of access as callers give them, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def address_array(addresses: Any) -> npt.NDArray[np.uint64]:
    """A contiguous uint64 array of one dimension."""
    array = np.asarray(addresses)
    if array.ndim != 1:
        raise ValueError(f"addresses: expected one dimension, not {array.ndim}")
    if array.size == 0:
        return np.empty(0, dtype=np.uint64)
    if array.dtype.kind not in "ui":
        raise TypeError(f"addresses: expected integers, not {array.dtype}")
    if array.dtype.kind == "i" and array.min() < 0:
        raise ValueError(f"addresses: {int(array.min())} is negative")
    return np.ascontiguousarray(array, dtype=np.uint64)


def kind_array(kind: Any, n: int) -> npt.NDArray[np.uint8]:
    """A contiguous uint8 array of n kinds (bools: True is a write)."""
    array = np.asarray(kind)
    if array.shape != (n,):
        raise ValueError(f"kind: expected 'r', 'w', 'x' or an array of {n} kinds, not shape {array.shape}")
    if array.dtype.kind not in "uib":
        raise TypeError(f"kind: expected integers 0, 1, 2, not {array.dtype}")
    if array.size and (array.min() < 0 or array.max() > 2):
        raise ValueError("kind: expected 0 (read), 1 (write) or 2 (execute)")
    return np.ascontiguousarray(array, dtype=np.uint8)
