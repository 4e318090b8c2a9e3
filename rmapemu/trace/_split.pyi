# SPDX-License-Identifier: GPL-2.0-only
from typing import Any

import numpy as np

def count_extra(address: Any, size: Any, page_shift: int) -> int: ...
def split(address: Any, size: Any, kind: Any, page_shift: int, total: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...
