# SPDX-License-Identifier: GPL-2.0-only
"""Install into the running interpreter what pyproject.toml lists: ``install.py package`` or ``install.py EXTRA``.

``package`` is the build tools, the dependencies and the package itself, editable. It is compiled by build.py, whose
results the editable install is made to find. Extras named in WHERE_BUILT are taken only where a wheel exists.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

WHERE_BUILT = {"libcachesim", "unicorn", "polars"}
"""Used for comparison only: what needs one is skipped, by name, where it is not installed."""

PROJECT = tomllib.loads(Path("pyproject.toml").read_text())


def pip(*arguments: str, quiet: bool = False) -> bool:
    """Whether ``pip install`` did it. What pip has to say is shown when it fails, unless ``quiet``."""
    command = [sys.executable, "-m", "pip", "install", "--no-input", *arguments]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode and not quiet:
        sys.stderr.write(run.stdout)
    return run.returncode == 0


def name_of(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def install_package() -> bool:
    needed = PROJECT["build-system"]["requires"] + PROJECT["project"]["dependencies"]
    return pip(*needed) and compiled() and editable()


def compiled() -> bool:
    return subprocess.run([sys.executable, ".ci/build.py"], stdin=subprocess.DEVNULL).returncode == 0


def editable() -> bool:
    """Install with links to this tree. By itself, it would compile everything again, in a folder of its own."""
    from setuptools import Distribution

    build = Distribution().get_command_obj("build")
    build.ensure_finalized()
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as options:
        options.write(f"[build_ext]\nbuild_lib = {build.build_platlib}\n")
        options.flush()
        os.environ["DIST_EXTRA_CONFIG"] = options.name
        return pip("--no-build-isolation", "--no-deps", "--editable", ".")


def install_extra(extra: str) -> bool:
    requirements = PROJECT["project"]["optional-dependencies"][extra]
    for requirement in requirements:
        if name_of(requirement) in WHERE_BUILT and not pip("--only-binary=:all:", requirement, quiet=True):
            print(f"{name_of(requirement)}: no build for this machine; what needs it will be skipped")
    required = [r for r in requirements if name_of(r) not in WHERE_BUILT]
    return not required or pip(*required)


if __name__ == "__main__":
    what = sys.argv[1]
    sys.exit(0 if (install_package() if what == "package" else install_extra(what)) else 1)
