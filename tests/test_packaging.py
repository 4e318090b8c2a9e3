# SPDX-License-Identifier: GPL-2.0-only
"""What is shipped: sdist, the wheel made from it, the editable install. Compiled once, without optimisation."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.packaging

SETUP = "from setuptools import setup; setup()"

LOOK = """
import importlib.metadata, importlib.util, json, sys
import rmapemu
points = {group: importlib.metadata.entry_points(group=group) for group in sys.argv[1:]}
objects = {point.name: point.load() for group in points.values() for point in group}
print(json.dumps({
    "version": rmapemu.__version__,
    "metadata": importlib.metadata.version("rmapemu"),
    "where": rmapemu.__file__,
    "include": rmapemu.get_include(),
    "loaded": {name: getattr(sys.modules.get(f"rmapemu.arch.{name}"), "__file__", None) for name in objects},
    "none": [name for name, value in objects.items() if value is None],
    "arch": importlib.util.find_spec("arch") is not None,
}))
"""


def run(*command, cwd, **variables):
    """Output of a command that must succeed; nothing of this tree or of a user's settings reaches it."""
    env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME", "DIST_EXTRA_CONFIG"}}
    env |= {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"} | variables
    words = [str(word) for word in command]
    result = subprocess.run(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="session")
def compiler(tmp_path_factory):
    """A C compiler that never optimises: what is built here is loaded, not used."""
    script = tmp_path_factory.mktemp("cc") / "cc"
    real = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    script.write_text(f'#!/bin/sh\nexec {real} "$@" -O0 -g0 -w\n')
    script.chmod(0o755)
    return str(script)


@pytest.fixture(scope="session")
def sdist(tree, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    build = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    run(sys.executable, "-W", "ignore", "-c", build, folder, cwd=tree)
    return next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="session")
def unpacked(sdist, compiler, tmp_path_factory):
    """The sdist in a folder with a space in its name, compiled there."""
    folder = tmp_path_factory.mktemp("a folder")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # since 3.11.4
    top = next(folder.iterdir())
    run(sys.executable, ".ci/build.py", cwd=top, CC=compiler)
    return top


@pytest.fixture(scope="session")
def wheel(unpacked, compiler, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", folder)
    run(*pip, unpacked, cwd=folder, CC=compiler)
    return next(folder.glob("*.whl"))


@pytest.fixture
def fresh_python(tmp_path):
    """A new environment's interpreter, which sees this one's packages behind its own, but not its editable installs."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv/bin/python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    ours = [path for path in sys.path if path.endswith("-packages")]
    Path(site, "dependencies.pth").write_text("\n".join(ours) + "\n")
    return python


def install(python, *what, cwd, **variables):
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--ignore-installed")
    run(*pip, *what, cwd=cwd, **variables)


def look(python, cwd, pyproject):
    groups = pyproject["project"]["entry-points"]
    return json.loads(run(python, "-I", "-c", LOOK, *groups, cwd=cwd))


def shipped(tree):
    """Files beside the modules that the wheel has to carry, as they are named in it."""
    named = {path: str(path.relative_to(tree)) for path in [*tree.glob("rmapemu/**/*"), *tree.glob("arch/**/*")]}
    data = {name for path, name in named.items() if path.suffix in {".pxd", ".pxi", ".pyi"} or path.name == "py.typed"}
    data |= {name for path, name in named.items() if "data" in path.parts and path.suffix == ".parquet"}
    return {f"rmapemu/{name}" if name.startswith("arch/") else name for name in data}


def test_the_sdist_holds_every_file_that_is_under_version_control(tree, sdist):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=tree, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    missing = {name for name in listed.stdout.split("\0") if name and (tree / name).exists()} - inside
    assert not missing
    assert not [name for name in inside if name.endswith((".so", ".pyc"))]


def test_the_wheel_holds_declarations_stubs_and_data_and_nothing_outside_the_package(tree, wheel, pyproject):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert not shipped(tree) - names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"rmapemu"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.endswith(".c")]
    compiled = {name.partition(".")[0].replace("/", ".") for name in names if name.endswith(".so")}
    assert compiled == {module["name"] for module in pyproject["tool"]["setuptools"]["ext-modules"]}


def test_the_wheel_works_in_a_fresh_environment(wheel, fresh_python, tmp_path, pyproject):
    install(fresh_python, wheel, cwd=tmp_path)
    seen = look(fresh_python, tmp_path, pyproject)
    assert seen["version"] == seen["metadata"] == wheel.name.split("-")[1]
    assert Path(seen["where"]).is_relative_to(tmp_path)
    assert not seen["none"]
    assert all(seen["loaded"][name] for name in pyproject["project"]["entry-points"]["rmapemu.arch"])
    assert not seen["arch"], "there must be no top-level package 'arch'"
    assert Path(seen["include"], "rmapemu/hw/ops.pxd").exists()


def test_the_editable_install_works_and_uses_the_tree(unpacked, compiler, fresh_python, tmp_path, pyproject):
    compiled = next(unpacked.glob(f"build/lib.*-{sys.implementation.cache_tag}")).relative_to(unpacked)
    (tmp_path / "reuse.cfg").write_text(f"[build_ext]\nbuild_lib = {compiled}\n")
    reuse = {"CC": compiler, "DIST_EXTRA_CONFIG": str(tmp_path / "reuse.cfg")}
    install(fresh_python, "--no-build-isolation", "-e", unpacked, cwd=tmp_path, **reuse)
    seen = look(fresh_python, tmp_path, pyproject)
    assert seen["version"] == seen["metadata"]
    assert Path(seen["where"]) == unpacked / "rmapemu/__init__.py"
    assert {name: Path(where) for name, where in seen["loaded"].items() if where} == {
        name: unpacked / "arch" / name / "__init__.py" for name in pyproject["project"]["entry-points"]["rmapemu.arch"]
    }
    assert not seen["arch"], "there must be no top-level package 'arch'"


def test_the_folder_arch_refuses_to_be_imported_as_arch(tree):
    result = subprocess.run([sys.executable, "-c", "import arch"], cwd=tree, capture_output=True, text=True)
    assert result.returncode == 1
    assert "ImportError: this folder is the package 'rmapemu.arch', not 'arch'" in result.stderr


def test_there_is_a_version_with_and_without_git(unpacked, sdist, tmp_path, pyproject):
    ask = (sys.executable, "-W", "ignore", "-c", SETUP, "--version")
    assert run(*ask, cwd=unpacked).split()[-1] == sdist.name.removeprefix("rmapemu-").removesuffix(".tar.gz")
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "rmapemu"):
        (bare / name).symlink_to(unpacked / name)
    (bare / "pyproject.toml").unlink()
    text = (unpacked / "pyproject.toml").read_text().replace('version_file = "rmapemu/_version.py"\n', "")
    (bare / "pyproject.toml").write_text(text)
    assert run(*ask, cwd=bare).split()[-1] == pyproject["tool"]["setuptools_scm"]["fallback_version"]
