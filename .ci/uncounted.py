# SPDX-License-Identifier: GPL-2.0-only
"""The tree without what counts and checks: ``python .ci/uncounted.py``, from the top; into build/uncounted, minutes the first time.

Of the Cython sources of the copy, every statement that adds to a field of costs_t is left out (tlb_misses, which decides how far the
replay looks ahead, apart), BUG_ON and VM_BUG_ON test nothing, and a lock is neither checked against the order nor noted as held. The
states of locks stay, but for those around straight-line code: trylocks and deadlocks are decided by them. benchmarks/bench_counters.py
compares the two.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from copies import copy_tree

COPY = Path("build/uncounted").absolute()
COUNTS = re.compile(rb"^( *)\w+(?:\.\w+)*\.cost\.(?!tlb_misses\b)[\w\[\]]+ [+-]= (.*)$", re.MULTILINE)
EMPTY = {"BUG_ON", "VM_BUG_ON", "lock_enter", "lock_leave", "mutex_pass", "leaf_lock"}
FUNCTION = re.compile(rb"^(cdef inline void (\w+)\(.*\) noexcept nogil:\n)((?:    .*\n|\n(?=    ))+)", re.MULTILINE)


def emptied(match: re.Match[bytes]) -> bytes:
    return match[1] + b"    pass\n" if match[2].decode() in EMPTY else match[0]


def uncounted(name: str, content: bytes) -> bytes:
    if not name.startswith(("rmapemu/", "arch/")) or Path(name).suffix not in {".pyx", ".pxd", ".pxi"}:
        return content
    # what is added may be the result of a call
    content = COUNTS.sub(rb"\1\2", content)
    return FUNCTION.sub(emptied, content) if name in {"rmapemu/mm/lock.pxd", "rmapemu/mm/leaf_lock.pxd"} else content


def main() -> int:
    copy_tree(COPY, uncounted)
    flags = {"CFLAGS": f"{os.environ.get('CFLAGS', '')} -w"}
    return subprocess.run(["nice", sys.executable, ".ci/build.py"], cwd=COPY, env=os.environ | flags, stdin=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    sys.exit(main())
