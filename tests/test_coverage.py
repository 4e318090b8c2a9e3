# SPDX-License-Identifier: GPL-2.0-only
"""What .ci/coverage.py makes of gcov's numbers, and that docs/coverage.md speaks of lines that are there. The counting itself takes a build
of its own: `make coverage`."""

import importlib.util
import re

import pytest


@pytest.fixture
def coverage(tree, monkeypatch):
    if not (tree / ".ci/coverage.py").is_file():
        pytest.skip("an unpacked sdist has no .ci")
    monkeypatch.chdir(tree)
    spec = importlib.util.spec_from_file_location("coverage_tool", tree / ".ci/coverage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(coverage, tmp_path, monkeypatch):
    """A file of one function, and the tool made to look at it with given counts."""
    file = tmp_path / "x.pyx"
    file.write_text("# x\ncdef int f(int a) noexcept nogil:\n    if a:\n        return 1\n    return 0\n\n\n"
                    "cdef inline int g() noexcept nogil:\n    return 2\n")

    def missed(counts):
        monkeypatch.setattr(coverage, "FILES", {str(file)})
        monkeypatch.setattr(coverage, "read_counts", lambda: {str(file): counts})
        return {row[1:] for row in coverage.missed()}

    return missed


REACHED = {2: (1, []), 3: (2, [1, 1]), 4: (1, []), 5: (1, []), 8: (1, []), 9: (1, [])}


def test_what_is_executed_is_not_missed(source):
    assert source(REACHED) == set()


def test_a_branch_never_taken_is_named_and_what_stands_in_its_block_is_not_named_again(source):
    assert source(REACHED | {3: (2, [0, 2]), 4: (0, [])}) == {("f", "if a:", "1 of 2")}


def test_a_line_never_executed_is_named(source):
    assert source(REACHED | {5: (0, [])}) == {("f", "return 0", "never")}


def test_an_inline_function_that_no_module_uses_is_named(source):
    counts = {at: count for at, count in REACHED.items() if at < 8}
    assert source(counts) == {("g", "cdef inline int g() noexcept nogil:", "never")}


def test_c_lines_belong_to_the_line_that_the_comment_before_them_names(coverage, tmp_path):
    c = tmp_path / "x.c"
    c.write_text('int f(void) {\n  /* "rmapemu/mm/x.pyx":7\n * text\n */\n  a();\n  /* function exit code */\n  b();\n}\n')
    lines = coverage.cython_lines(c)
    assert lines[5] == ("rmapemu/mm/x.pyx", 7)
    assert lines[1] is None and lines[7] is None


def test_every_row_of_the_list_names_a_line_of_its_function(coverage, tree):
    listed = coverage.excused()
    assert len(listed) == len(re.findall(r"^\| `", coverage.LISTED.read_text(), re.MULTILINE)) > 0
    for file, function, line, _gap in listed:
        text = (tree / file).read_text().split("\n")
        assert function in {coverage.function_at(text, at) for at, one in enumerate(text, 1) if one.strip() == line}, (file, line)


def test_the_list_is_wrong_both_ways(coverage, monkeypatch, capsys):
    for step in ("copy_tree", "compile_module"):
        monkeypatch.setattr(coverage, step, lambda *args: None)
    monkeypatch.setattr(coverage, "run_tests", lambda tests: True)
    monkeypatch.setattr(coverage.shutil, "which", lambda name: name)
    row = ("a.pyx", "f", "if a:", "1 of 2")
    for found, listed, status in (({row: 3}, {row}, 0), ({row: 3}, set(), 1), ({}, {row}, 1)):
        monkeypatch.setattr(coverage, "missed", lambda found=found: found)
        monkeypatch.setattr(coverage, "excused", lambda listed=listed: listed)
        assert coverage.main() == status
    said = capsys.readouterr().out
    assert "not reached, and not listed" in said and "reached after all, or gone" in said
    monkeypatch.setattr(coverage, "run_tests", lambda tests: False)
    assert coverage.main() == 1
    monkeypatch.setattr(coverage.shutil, "which", lambda name: None)
    assert coverage.main() == 2 and "gcov is missing" in capsys.readouterr().err
