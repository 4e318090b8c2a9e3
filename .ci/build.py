# SPDX-License-Identifier: GPL-2.0-only
"""Compile in place what has changed: ``python .ci/build.py``, from the top of the tree, with any venv's Python.

The same as ``setup() build_ext --inplace``, but Cython runs in processes of its own first (it is not made for the
threads of ``build_ext --parallel``), so that both halves use every CPU. Paths are those that build_ext would use,
so either way of building continues where the other stopped.
"""

import os
import tomllib
import warnings
from configparser import ConfigParser
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup


def modules() -> list[Extension]:
    table = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"]
    return [Extension(module["name"], module["sources"]) for module in table]


def main() -> None:
    # setuptools calls the table ext-modules experimental, at every run
    warnings.filterwarnings("ignore", message=".*ext-modules", category=Warning)
    options = ConfigParser()
    options.read("setup.cfg")
    cpus = len(os.sched_getaffinity(0))
    cythonize(
        modules(),
        nthreads=cpus if cpus > 1 else 0,
        include_path=[options["build_ext"]["cython_include_dirs"]],
        build_dir=options["build_ext"]["build_temp"],
        quiet=True,
    )
    setup(script_name="setup.py", script_args=["--quiet", "build_ext", "--inplace", f"--parallel={cpus}"])


if __name__ == "__main__":
    main()
