# SPDX-License-Identifier: GPL-2.0-only
"""Tests under AddressSanitizer and UndefinedBehaviorSanitizer: ``python .ci/asan.py [PYTEST ARGUMENTS]``, from the top.

A copy of the tree, in build/asan, is compiled with gcc's sanitizers and tested: by default by the fuzz tests with many
more calls than in a plain run, and by the tests of mm/, machine/ and trace/. Findings are printed with their stacks;
any is status 1. Minutes the first time; afterwards only what has changed is compiled again.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from copies import copy_tree

COPY = Path("build/asan").absolute()
# not recording: valgrind's own allocator and a preloaded libasan do not go together
TESTS = ["tests/test_api_fuzz.py", "tests/machine", "tests/mm", "tests/trace", "--ignore=tests/trace/test_record.py"]
SANITIZE = "-fsanitize=address,undefined"
COMPILER = os.environ.get("CC", "gcc")


def build() -> bool:
    flags = {"CC": COMPILER, "CFLAGS": f"-O1 -g -fno-omit-frame-pointer -w {SANITIZE}", "LDFLAGS": SANITIZE}
    run = subprocess.run(["nice", sys.executable, ".ci/build.py"], cwd=COPY, env=os.environ | flags, stdin=subprocess.DEVNULL)
    return run.returncode == 0


def library(name: str) -> str:
    return subprocess.run([*shlex.split(COMPILER), f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout.strip()


def environment() -> dict[str, str]:
    """Python never frees everything, so leaks are not looked for; its objects come from malloc, so that each is watched."""
    return os.environ | {
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        # beside AddressSanitizer it writes to no log, so that going on would lose what it finds in a test's captured output
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(COPY),
        "RMAPEMU_FUZZ_CALLS": os.environ.get("RMAPEMU_FUZZ_CALLS", "20000"),
    }


def main() -> int:
    copy_tree(COPY)
    if not build():
        return 1
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--capture=no", *(sys.argv[1:] or TESTS)]
    return 1 if subprocess.run(command, cwd=COPY, env=environment(), stdin=subprocess.DEVNULL).returncode else 0


if __name__ == "__main__":
    sys.exit(main())
