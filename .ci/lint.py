# SPDX-License-Identifier: GPL-2.0-only
"""All style and type checks: ``python .ci/lint.py``, from the top of the tree. All run; status 1 if one failed.

mypy and stubtest look at a folder of links in which ``arch/`` stands where it is installed, as ``rmapemu/arch``.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

PYPROJECT = tomllib.loads(Path("pyproject.toml").read_text())
AS_INSTALLED = Path("build/as-installed").absolute()
BIN = Path(sys.executable).parent


def link_as_installed() -> None:
    package = AS_INSTALLED / "rmapemu"
    package.mkdir(parents=True, exist_ok=True)
    wanted = {path.name: path.absolute() for path in Path("rmapemu").iterdir()} | {"arch": Path("arch").absolute()}
    for link in package.iterdir():
        link.unlink()
    for name, target in wanted.items():
        (package / name).symlink_to(target)


def with_stub() -> list[str]:
    """The compiled modules that have a stub; tests/test_structure.py says which must."""
    modules = PYPROJECT["tool"]["setuptools"]["ext-modules"]
    return [m["name"] for m in modules if Path(m["sources"][0]).with_suffix(".pyi").exists()]


def passed(*command: str | Path, where: Path | None = None) -> bool:
    run = subprocess.run(list(command), cwd=where, stdin=subprocess.DEVNULL)
    print(f"{Path(command[0]).name}: {'ok' if run.returncode == 0 else 'FAILED'}", flush=True)
    return run.returncode == 0


def main() -> int:
    link_as_installed()
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"  # cython-lint starts pycodestyle by name
    config = f"--config-file={Path('pyproject.toml').absolute()}"
    cache = f"--cache-dir={Path('.mypy_cache').absolute()}"
    results = [
        passed(BIN / "ruff", "check", "--quiet", "--output-format=concise"),
        passed(BIN / "cython-lint", "rmapemu", "arch"),
        passed(BIN / "mypy", config, cache, "--no-error-summary", "-p", "rmapemu", where=AS_INSTALLED),
    ]
    if modules := with_stub():
        allowed = f"--allowlist={Path('.ci/stubtest-allow.txt').absolute()}"
        mypy = ("--mypy-config-file", str(Path("pyproject.toml").absolute()))
        stubtest = (*mypy, allowed, "--ignore-disjoint-bases", "--concise", *modules)
        results.append(passed(BIN / "stubtest", *stubtest, where=AS_INSTALLED))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
