# SPDX-License-Identifier: GPL-2.0-only
"""Which lines and branches of the reverse map the tests never execute: ``python .ci/coverage.py``, from the top of a built tree.

The modules below are compiled once more, without optimisation and with gcov's counters, into a copy of the tree (build/coverage), and
the tests of mm/ and machine/ run there, without the random scripts: each run counts the same. gcov's numbers are those of the C code,
which names Cython's lines. What was not reached must be what docs/coverage.md lists with a reason, no more and no less; anything else
is status 1.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Container
from itertools import pairwise
from pathlib import Path

COPY = Path("build/coverage").absolute()
OBJECTS = COPY / "gcov"
LISTED = Path("docs/coverage.md")
OTHERS = ["mm/anon_vma", "mm/ksm", "mm/memcontrol", "mm/prio_tree"]
MODULES = [*sorted(f"mm/{path.stem}" for path in Path("rmapemu/mm").glob("rmap*.pyx")), *OTHERS]
INLINE = ["mm/compound", "mm/mmlist", "mm/mmu_notifier", "mm/swapin_plain", "mm/vmscan_plain"]
"""What belongs to it and is inlined everywhere."""
CIMPORTS = re.compile(rf"^from rmapemu\.mm\.({'|'.join(Path(name).name for name in INLINE)}) cimport", re.MULTILINE)
USERS = {f"mm/{path.stem}" for path in Path("rmapemu/mm").glob("*.pyx") if CIMPORTS.search(path.read_text())}
COMPILED = sorted({*MODULES, *USERS, "machine/lab_page", "machine/rmap_link", "machine/rmap_ops"})
"""With the modules that code is inlined into; of these nothing else is asked."""
FILES = {f"rmapemu/{name}{end}" for name in MODULES for end in (".pyx", ".pxd")} | {f"rmapemu/{name}.pxd" for name in INLINE}
TESTS = ["tests/mm", "tests/machine", "--deselect=tests/machine/test_state_machine.py"]
COMPILER = shlex.split(os.environ.get("CC", "gcc"))
Gap = str
"""What of a line was not reached: ``never``, or how many of its branches in the C code were not taken: ``1 of 2``."""
Row = tuple[str, str, str, Gap]
"""File, function, text of the line, gap."""


def copy_tree() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    for top in ("rmapemu", "arch", "tests", "docs", "benchmarks"):
        shutil.copytree(top, COPY / top, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(file, COPY)
    link = COPY / "rmapemu/arch"
    if not link.exists():
        link.symlink_to("../arch")
    OBJECTS.mkdir()


def c_code(module: str) -> Path:
    return OBJECTS / f"{module.replace('/', '.')}.c"


def compile_module(module: str) -> None:
    """From the copy, so that the names in the C code are those of the tree."""
    source, c = f"rmapemu/{module}.pyx", c_code(module)
    subprocess.run([sys.executable, "-m", "cython", "-3", "-I", ".", source, "-o", str(c)], cwd=COPY, check=True)
    flags = ["-O0", "-g0", "-w", "-fPIC", "--coverage", "-I", sysconfig.get_path("include")]
    subprocess.run([*COMPILER, *flags, "-c", str(c), "-o", str(c.with_suffix(".o"))], cwd=COPY, check=True)
    target = f"rmapemu/{module}{sysconfig.get_config_var('EXT_SUFFIX')}"
    (COPY / target).unlink(missing_ok=True)
    subprocess.run([*COMPILER, "-shared", "--coverage", str(c.with_suffix(".o")), "-o", target], cwd=COPY, check=True)


def run_tests(tests: list[str]) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    env = os.environ | {"PYTHONPATH": str(COPY), "HYPOTHESIS_PROFILE": "ci"}
    return subprocess.run(command, cwd=COPY, env=env, stdin=subprocess.DEVNULL).returncode == 0


def cython_lines(c: Path) -> list[tuple[str, int] | None]:
    """For each line of the C code, the file and line that it was made of: named by the comment before it, up to the function's end."""
    at: tuple[str, int] | None = None
    found: list[tuple[str, int] | None] = [None]
    for text in c.read_text().split("\n"):
        marker = re.match(r'\s*/\* "([^"]+)":(\d+)$', text)
        if marker:
            at = marker[1], int(marker[2])
        elif "/* function exit code */" in text or text == "}":
            at = None
        found.append(at)
    return found


def read_counts() -> dict[str, dict[int, tuple[int, list[int]]]]:
    """File -> line -> (executions, executions of each branch), summed over the modules that include the line."""
    total: dict[str, dict[int, tuple[int, list[int]]]] = defaultdict(dict)
    for module in COMPILED:
        c = c_code(module)
        made_of = cython_lines(c)
        here: dict[tuple[str, int], tuple[int, list[int]]] = {}
        command = ["gcov", "--branch-probabilities", "--json-format", c.with_suffix(".o").name]
        subprocess.run(command, cwd=OBJECTS, check=True, capture_output=True)
        report = next(OBJECTS.glob("*.gcov.json.gz"))
        for file in json.loads(gzip.decompress(report.read_bytes()))["files"]:
            for line in file["lines"] if file["file"].endswith(".c") else ():
                at = made_of[line["line_number"]]
                if at is not None:
                    n, counts = here.get(at, (0, []))
                    here[at] = max(n, line["count"]), counts + [b["count"] for b in line["branches"]]
        report.unlink()
        for (path, number), (n, counts) in here.items():
            before, known = total[path].get(number, (0, [0] * len(counts)))
            total[path][number] = before + n, [a + b for a, b in zip(known, counts, strict=False)]
    return total


def heads_missed(found: dict[int, Gap], text: list[str], at: int) -> bool:
    """Is the line in a block whose head (`if`, `else`, `while`, `cdef`, ...) was missed already? Then that says it all."""
    indent = len(text[at - 1]) - len(text[at - 1].lstrip())
    for line in range(at - 1, 0, -1):
        here = text[line - 1]
        depth = len(here) - len(here.lstrip())
        if here.strip() and depth < indent:
            if not re.match(r"\s*(else|elif)\b", here):
                return line in found
            # its head is the `if` or `elif` before it
            if line in found:
                return True
            indent = depth + 1
    return False


def missed() -> dict[Row, int]:
    """What was not reached -> its line number."""
    rows: dict[Row, int] = {}
    counted = read_counts()
    for file in sorted(FILES):
        lines = counted.get(file, {})
        text = Path(file).read_text().split("\n")
        found: dict[int, Gap] = dict.fromkeys(uncompiled(text, lines), "never")
        for at, (n, branches) in sorted(lines.items()):
            unused = sum(not count for count in branches)
            if at > 1 and not n:    # line 1 is importing the module
                found[at] = "never"
            elif at > 1 and unused:
                found[at] = f"{unused} of {len(branches)}"
        for at, gap in found.items():
            if gap != "never" or not heads_missed(found, text, at):
                rows[file, function_at(text, at), text[at - 1].strip(), gap] = at
    return rows


def uncompiled(text: list[str], lines: Container[int]) -> list[int]:
    """Where inline functions begin that none of the modules uses."""
    heads = [at for at, line in enumerate(text, 1) if line.startswith("cdef ")] + [len(text) + 1]
    found = []
    for at, end in pairwise(heads):
        inline = text[at - 1].startswith("cdef inline") and any(line.startswith("    ") for line in text[at : end - 1])
        if inline and not any(line in lines for line in range(at, end)):
            found.append(at)
    return found


def function_at(text: list[str], at: int) -> str:
    heads = (re.match(r"cdef .*?(\w+)\(", line) for line in reversed(text[:at]))
    return next((head[1] for head in heads if head), "")


def excused() -> set[Row]:
    """The rows of the tables: | `function` | `line` | branches not taken | reason |, below a heading that names the file."""
    rows: set[Row] = set()
    file = ""
    for line in LISTED.read_text().split("\n"):
        if line.startswith("## "):
            file = line[3:].strip()
        row = re.match(r"\| `(\w+)` \| `(.+?)` \| (never|\d+ of \d+) \| (.+) \|$", line)
        if row:
            rows.add((file, row[1], row[2].replace("\\|", "|"), row[3]))
    return rows


def main() -> int:
    if not shutil.which("gcov"):
        print("coverage: gcov is missing (it comes with gcc)", file=sys.stderr)
        return 2
    copy_tree()
    for module in COMPILED:
        compile_module(module)
    passed = run_tests(sys.argv[1:] or TESTS)
    found, listed = missed(), excused()
    for (file, function, text, gap), at in found.items():
        if (file, function, text, gap) not in listed:
            print(f"{file}:{at}: {function}: {gap}: {text}: not reached, and not listed in {LISTED}")
    for file, function, text, gap in sorted(listed - found.keys()):
        print(f"{LISTED}: {file}: {function}: {gap}: {text}: reached after all, or gone")
    wrong = found.keys() ^ listed
    print(f"{len(FILES)} files, {len(found)} places that the tests do not reach, {len(wrong)} of them wrong in {LISTED}")
    return 0 if passed and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
