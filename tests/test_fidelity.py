# SPDX-License-Identifier: GPL-2.0-only
"""docs/fidelity.md against the code, in both directions, and against the list of mm/rmap.c's functions."""

import re

import pytest

from support import sources

RMAP_C = re.findall(
    r"\w+",
    """
anon_vma_alloc anon_vma_free anon_vma_chain_alloc anon_vma_chain_free anon_vma_prepare lock_anon_vma_root
unlock_anon_vma_root anon_vma_chain_link anon_vma_clone anon_vma_fork unlink_anon_vmas anon_vma_ctor anon_vma_init
page_get_anon_vma page_lock_anon_vma page_unlock_anon_vma vma_address page_address_in_vma __page_check_address
page_mapped_in_vma page_referenced_one page_referenced_anon page_referenced_file page_referenced page_mkclean_one
page_mkclean_file page_mkclean page_move_anon_rmap __page_set_anon_rmap __page_check_anon_rmap page_add_anon_rmap
do_page_add_anon_rmap page_add_new_anon_rmap page_add_file_rmap page_remove_rmap try_to_unmap_one try_to_unmap_cluster
is_vma_temporary_stack try_to_unmap_anon try_to_unmap_file try_to_unmap try_to_munlock __put_anon_vma rmap_walk_anon
rmap_walk_file rmap_walk __hugepage_set_anon_rmap hugepage_add_anon_rmap hugepage_add_new_anon_rmap
""",
)
"""Every function that mm/rmap.c of Linux v3.2 defines, in the order of the listing."""

OURS = re.compile(r"\bmm\.(\w+)(?:\.(\w+))?")
VERDICT = re.compile(r"exact|simplified|not modelled")


def tables(text):
    """(section, kernel's column, our column, how) of every row of every table with the three columns."""
    section = ""
    for line in text.splitlines():
        if line.startswith("## "):
            section = line[3:]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and not set(line) <= set("|-") and cells != ["kernel", "here", "how"]:
            yield section, *cells


def defined(text):
    """Names of the functions that a Cython source or declaration file defines."""
    heads = (logical.text for logical in sources.logical_lines(text) if sources.FUNCTION.match(logical.text))
    return {match[1] for head in heads if (match := re.search(r"(\w+)\s*\(", head))}


@pytest.fixture(scope="module")
def rows(tree):
    return list(tables((tree / "docs/fidelity.md").read_text()))


@pytest.fixture(scope="module")
def modules(tree):
    """Module of mm/ -> names of the functions in its .pyx, its .pxd and what it includes."""
    folder = tree / "rmapemu/mm"
    found = {path.stem: set() for path in [*folder.glob("*.pyx"), *folder.glob("*.pxd")] if path.stem != "__init__"}
    for stem, names in found.items():
        for path in [path for suffix in (".pyx", ".pxd") if (path := folder / (stem + suffix)).exists()]:
            text = path.read_text()
            included = re.findall(r'^include "(?:rmapemu/mm/)?(\w+\.pxi)"', text, re.MULTILINE)
            names |= defined("\n".join([text, *((folder / name).read_text() for name in included)]))
    return found


def test_every_function_that_the_table_names_is_in_the_code(rows, modules):
    named = [(row, *match) for row in rows for match in OURS.findall(f"{row[2]} {row[3]}")]
    wrong = [
        f"{row[1]}: mm.{module}.{function}"
        for row, module, function in named
        if module not in modules or (function and function not in modules[module])
    ]
    assert len(named) > 150
    assert not wrong, "\n".join(wrong)


def test_every_function_of_rmap_c_is_in_the_table_once_and_has_a_verdict(rows):
    section = [row for row in rows if row[0] == "mm/rmap.c"]
    assert sorted(row[1] for row in section) == sorted(RMAP_C)
    assert not [row for row in section if not VERDICT.match(row[3])]


def test_every_module_of_mm_is_named_at_least_once(rows, modules):
    named = {module for row in rows for module, _ in OURS.findall(f"{row[2]} {row[3]}")}
    assert set(modules) - named == set()


def test_every_row_says_where_the_function_is_or_that_it_is_not(rows):
    wrong = [row for row in rows if not OURS.search(row[2]) and row[2] != "-"]
    assert not wrong, "\n".join(map(str, wrong))
    assert not [row for row in rows if row[2] == "-" and not row[3]]
