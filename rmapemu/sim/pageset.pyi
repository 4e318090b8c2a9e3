# SPDX-License-Identifier: GPL-2.0-only
from typing import Self

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

@disjoint_base
class PageSet:
    def __new__(cls, page_shift: int, limit: int) -> Self: ...
    def __len__(self) -> int: ...
    def add(
        self,
        address: npt.NDArray[np.uint64],
        size: npt.NDArray[np.uint32] | None,
        kind: npt.NDArray[np.uint8] | None,
        kind0: int = 0,
    ) -> int | None: ...
    def pages(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]: ...

def next_use_of(page: npt.NDArray[np.uint32], pages: int) -> npt.NDArray[np.uint64]: ...
