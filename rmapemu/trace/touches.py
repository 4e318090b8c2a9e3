# SPDX-License-Identifier: GPL-2.0-only
"""From accesses to pages: touches page by page, and mappings inferred where a trace has none.

Models what the hardware does with an access that crosses a page boundary. The inferred mappings are no kernel's:
a trace does not tell which pages were mapped and never touched, nor how.
"""

from __future__ import annotations

import numpy as np

from rmapemu.trace._split import count_extra, split
from rmapemu.trace.base import Batch

GAP_PAGES = 16
MAX_MAPPINGS = 4096


def pages(batch: Batch, page_shift: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """(va uint64[n], kind uint8[n], pid uint32[n] or None): each page that each access touches, in order.

    The first touch of an access has its own address, the further ones the first byte of their page. Where nothing
    crosses, the batch's own arrays come back uncopied. page_shift: log2 of the page size in bytes.
    Raises ValueError for a page_shift out of 1..63 and for accesses that end beyond 2**64.

    >>> batch = Batch(None, np.array([0x1ffc], np.uint64), np.array([8], np.uint32), np.array([1], np.uint8))
    >>> [hex(va) for va in pages(batch, 12)[0]]
    ['0x1ffc', '0x2000']
    """
    if not 1 <= page_shift <= 63:
        raise ValueError(f"page_shift: expected 1 to 63, found {page_shift}")
    if batch.size is None or not batch.accesses:
        return batch.address, batch.kind, batch.pid
    extra = count_extra(batch.address, batch.size, page_shift)
    if extra < 0:
        raise ValueError("an access ends beyond 2**64")
    if not extra:
        return batch.address, batch.kind, batch.pid
    va, kind, index = split(batch.address, batch.size, batch.kind, page_shift, batch.accesses + extra)
    return va, kind, None if batch.pid is None else batch.pid[index]


def infer_mappings(pages: np.ndarray, *, gap_pages: int = GAP_PAGES, max_mappings: int = MAX_MAPPINGS) -> list[tuple[int, int]]:
    """Mappings [(start_page, end_page), ...] that cover the touched pages: ascending, disjoint, end exclusive.

    pages: uint64[n], the touched page numbers, sorted and unique. The rule: touched pages with at most `gap_pages`
    untouched ones between them belong to one mapping; where that leaves more than `max_mappings`, only the
    max_mappings - 1 widest gaps separate (of equal ones the lower). Mappings begin and end with a touched page.
    Raises TypeError and ValueError for anything else than such an array.

    >>> infer_mappings(np.array([1, 2, 5, 100], np.uint64), gap_pages=4)
    [(1, 6), (100, 101)]
    """
    if not isinstance(pages, np.ndarray) or pages.dtype != np.uint64:
        raise TypeError(f"expected page numbers as a uint64 array, found {getattr(pages, 'dtype', type(pages).__name__)}")
    if pages.ndim != 1 or (pages[1:] <= pages[:-1]).any():
        raise ValueError("expected page numbers in one dimension, sorted and each once")
    if gap_pages < 0 or max_mappings < 1:
        raise ValueError(f"expected gap_pages >= 0 and max_mappings >= 1, found {gap_pages} and {max_mappings}")
    if not len(pages):
        return []
    gaps = pages[1:] - pages[:-1] - np.uint64(1)
    cuts = np.flatnonzero(gaps > gap_pages)
    if len(cuts) > max_mappings - 1:
        widest = np.argsort(~gaps[cuts], kind="stable")[: max_mappings - 1]
        cuts = np.sort(cuts[widest])
    starts = [int(page) for page in pages[np.concatenate(([0], cuts + 1))]]
    ends = [int(page) + 1 for page in pages[np.concatenate((cuts, [len(pages) - 1]))]]
    return list(zip(starts, ends, strict=True))
