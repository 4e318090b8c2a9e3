# SPDX-License-Identifier: GPL-2.0-only
"""Copies of the tree that are compiled in another way: with sanitizers (asan.py), without counters (uncounted.py)."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

TAKEN = ["rmapemu", "arch", "tests", "benchmarks", "docs", "pyproject.toml", "setup.cfg", "README.md", "LICENSE", ".ci"]


def listed() -> set[str]:
    """The files of the tree, uncommitted ones too."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *TAKEN]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return {name for name in names if name and Path(name).is_file()} | {"rmapemu/_version.py"}


def copy_tree(copy: Path, changed: Callable[[str, bytes], bytes] = lambda _name, content: content) -> None:
    """What has not changed keeps its time, so that it is not compiled again; what is gone goes."""
    names = listed()
    for name in names:
        old, content = copy / name, changed(name, Path(name).read_bytes())
        if not old.exists() or old.read_bytes() != content:
            old.parent.mkdir(parents=True, exist_ok=True)
            old.write_bytes(content)
            shutil.copymode(name, old)
    for top in ("rmapemu", "arch", "tests"):
        for path in (copy / top).rglob("*.p[yx]*"):
            if path.suffix in {".py", ".pyx", ".pxd", ".pxi", ".pyi"} and str(path.relative_to(copy)) not in names:
                path.unlink(missing_ok=True)
    link = copy / "rmapemu/arch"
    if not link.is_symlink():
        link.symlink_to("../arch")
