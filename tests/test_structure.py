# SPDX-License-Identifier: GPL-2.0-only
"""The rules of the house: what may import what, how long things are, what every file carries."""

import re
import subprocess

import pytest

from support import sources

RANK = {"cli": 4, "report": 3, "sim": 3, "kit": 3, "trace": 2, "machine": 2, "mm": 1, "hw": 0}
"""Imports point to a lower rank or stay in their folder: cli -> report, sim, kit -> trace, machine -> mm -> hw."""

LEAVES = {"_version", "data", "errors"}
"""May be used from anywhere, and use nothing."""

MAX_LINES = 300
LONG_FILES = {
    "rmapemu/mm/types.pxd": "the structs that all of mm/ shares, which point at each other; two thirds are comments",
}
"""Path -> why it is longer than MAX_LINES."""

MAX_FUNCTION_LINES = 60
LONG_FUNCTIONS: dict[str, str] = {}
"""``path:name`` -> why it is longer than MAX_FUNCTION_LINES."""

SPDX = "SPDX-License-Identifier: GPL-2.0-only"
OUR_FOLDERS = ("rmapemu", "arch", "tests", "benchmarks", ".ci")


def folder_of(module):
    """The layer that a module belongs to; '' for the package itself and what others made."""
    parts = module.split(".")
    return parts[1] if parts[0] == "rmapemu" and len(parts) > 1 else ""


def forbidden(tree, path):
    """(line, what) for each import of the file that points up or sideways."""
    here = folder_of(sources.module_of(tree, path))
    for line, target in sources.imports(tree, path):
        there = folder_of(target)
        if target.split(".")[0] == "arch":
            yield line, f"{target}: the folder arch/ is the package rmapemu.arch"
        elif there == "arch" and here != "arch":
            yield line, f"{target}: archs are found by entry point, never imported by name"
        elif here == "arch" and there in RANK and there != "hw":
            yield line, f"{target}: an arch uses rmapemu.hw only"
        elif here in RANK and there in RANK and there != here and RANK[there] >= RANK[here]:
            yield line, f"{target}: {here} may not use {there}"
        elif here in LEAVES and there in RANK:
            yield line, f"{target}: {here} uses nothing"


def places(tree, path, found):
    return [f"{path.relative_to(tree)}:{line}: {what}" for line, what in found]


def compare(long, reasons):
    """Everything long has a reason, and no reason outlives what it excuses."""
    without = [f"{name}: {lines} lines, and no reason given" for name, lines in long.items() if name not in reasons]
    stale = [f"{name}: not long any more" for name in reasons if name not in long]
    assert not without + stale, "\n".join(without + stale)


def name_of(head):
    return re.search(r"(\w+)\s*\(", head.text)[1]


def test_imports_point_down_and_no_arch_is_imported_by_name(tree):
    paths = sources.files(tree, "rmapemu", "arch")
    wrong = [place for path in paths for place in places(tree, path, forbidden(tree, path))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("rmapemu/mm/x.pyx", "from rmapemu.machine.core cimport M\nfrom rmapemu.hw.ops cimport hw_t", [1]),
        ("rmapemu/hw/x.pxd", "# nothing\ncimport rmapemu.mm.types as t", [2]),
        ("rmapemu/sim/x.py", "def f():\n    from ..cli import main\n    from ..trace import read", [2]),
        ("rmapemu/kit/x.py", "import rmapemu.arch.s390\nimport rmapemu.hw", [1]),
        ("arch/s390/x.pyx", 'include "rmapemu/hw/template/walker.pxi"\ninclude "rmapemu/mm/x.pxi"', [2]),
        ("rmapemu/mm/y.pxi", "from rmapemu.sim cimport (a,\n    b)\nimport numpy", [1, 1]),
    ],
)
def test_an_import_that_points_up_is_found_in_every_kind_of_file(tmp_path, name, text, lines):
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert [line for line, _ in forbidden(tmp_path, path)] == lines


def test_no_file_is_too_long_without_a_reason(tree):
    lengths = {str(p.relative_to(tree)): p.read_text().count("\n") for p in sources.files(tree, *OUR_FOLDERS)}
    long = {path: lines for path, lines in lengths.items() if lines > MAX_LINES}
    compare(long, LONG_FILES)


def test_no_function_is_too_long_without_a_reason(tree):
    long = {}
    for path in sources.files(tree, "rmapemu", "arch"):
        for head, lines in sources.functions(path):
            if lines > MAX_FUNCTION_LINES:
                long[f"{path.relative_to(tree)}:{name_of(head)}"] = lines
    compare(long, LONG_FUNCTIONS)


def test_every_cdef_function_states_what_an_exception_does(tree):
    paths = sources.files(tree, "rmapemu", "arch", suffixes=sources.CYTHON)
    wrong = [f"{p.relative_to(tree)}:{f.line}: {f.text}" for p in paths for f in sources.without_exception_clause(p)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cdef int f(int a):\n    return a", 1),
        ("cdef int f(int a,\n           int b) noexcept nogil:\n    return a", 0),
        ("cdef inline uint64_t* f(machine* m) nogil", 1),
        ("cdef int f(int a) except -1", 0),
        ("cdef object f(int a)", 0),
        ("cdef f(int a)", 0),
        ("cdef int a = f(b)", 0),
        ("cdef class Thing(Base):\n    cdef int f(self)", 1),
        ("cdef struct s:\n    int (*f)(void* a) noexcept nogil\n    int (*g)(void* a) nogil", 1),
        ('"""\ncdef int f(int a)\n"""', 0),
    ],
)
def test_a_missing_exception_clause_is_found(tmp_path, text, found):
    path = tmp_path / "x.pyx"
    path.write_text(text)
    assert len(list(sources.without_exception_clause(path))) == found


def test_every_source_file_names_its_licence(tree):
    paths = [*sources.files(tree, *OUR_FOLDERS), tree / "Makefile", tree / ".ci/run", tree / ".ci/setup"]
    heads = {str(path.relative_to(tree)): path.read_text().split("\n")[:3] for path in paths}
    wrong = [path for path, head in heads.items() if "".join(head) and SPDX not in "".join(head)]
    assert not wrong, wrong


def test_no_file_names_a_path_of_the_machine_that_it_was_written_on(tree):
    run = subprocess.run(["git", "ls-files", "-z"], cwd=tree, capture_output=True, text=True)
    if run.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(rb"(?<![\w.])/(?:tmp|work|root|home)/\w")
    paths = [tree / name for name in run.stdout.split("\0") if name and (tree / name).is_file()]
    wrong = [
        f"{path.relative_to(tree)}:{number}"
        for path in paths
        if path.suffix not in {".parquet", ".gz", ".zst", ".npy", ".png"}
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1)
        if pattern.search(line)
    ]
    assert not wrong, wrong


def test_no_declaration_file_lives_under_arch_where_cython_would_not_find_it(tree):
    assert not sources.files(tree, "arch", suffixes={".pxd"})


def test_every_folder_with_an_init_file_is_a_package_of_the_distribution(tree, pyproject):
    inits = sources.files(tree, "rmapemu", "arch", suffixes={".py"})
    found = sorted(sources.module_of(tree, path) for path in inits if path.stem == "__init__")
    assert pyproject["tool"]["setuptools"]["packages"] == found


def test_every_cython_source_is_compiled_under_the_name_of_its_place(tree, pyproject):
    modules = pyproject["tool"]["setuptools"]["ext-modules"]
    listed = {module["name"]: module["sources"][0] for module in modules}
    paths = sources.files(tree, "rmapemu", "arch", suffixes={".pyx"})
    found = {sources.module_of(tree, path): str(path.relative_to(tree)) for path in paths}
    assert listed == found
    assert list(listed) == sorted(listed)


def test_every_module_that_python_can_use_has_a_stub(tree):
    """A module of cdef functions alone has nothing for a stub to say."""
    public = re.compile(r"^(?:def|class|cdef class|cpdef|[A-Z]\w*\s*=)", re.MULTILINE)
    paths = sources.files(tree, "rmapemu", "arch", suffixes={".pyx"})
    without = [path for path in paths if not path.with_suffix(".pyi").exists()]
    wrong = [str(path.relative_to(tree)) for path in without if public.search(path.read_text())]
    assert not wrong, wrong
