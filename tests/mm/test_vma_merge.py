# SPDX-License-Identifier: GPL-2.0-only
"""Merging and splitting of VMAs and of their anon_vmas. Kernel: mm/mmap.c (vma_merge, vma_adjust, split_vma, find_mergeable_anon_vma).

Pictures: P the previous VMA, N the next one, A the range that is being mapped or changed; the eight cases of vma_merge.
"""

import pytest

from rmapemu import Machine
from support.failing import every_allocation

BASE = 0x10000000
SITES = ["vm_area_struct", "anon_vma_chain", "anon_vma", "heap"]


@pytest.fixture
def m(arch):
    with Machine(arch, memory="16M", swap="4M") as machine:
        yield machine
        machine.check()


@pytest.fixture
def init(m):
    return m.spawn("init")


def at(process, page):
    return BASE + page * process.machine.page_size


def mmap(process, page, npages, prot="rw", **more):
    flags = "shared" if more.pop("shared", False) else "private"
    flags = flags if "file" in more else "private|anonymous"
    return process.mmap(npages * process.machine.page_size, prot, flags, addr=at(process, page), fixed=True, **more)


def mprotect(process, page, npages, prot):
    process.mprotect(at(process, page), npages * process.machine.page_size, prot)


def write(process, *pages):
    for page in pages:
        process.write(at(process, page), page + 1)


def vma(process, page):
    return process.vma_at(at(process, page))


def layout(process):
    size = process.machine.page_size
    return [((v.start - BASE) // size, (v.end - BASE) // size, str(v).split()[1]) for v in process.maps()]


def vmas(process):
    return process.machine.dump()["processes"][process.pid]["vmas"]


# ---------------------------------------------------------------- the eight cases
def test_case_1_a_mapping_that_fills_a_hole_joins_both_sides(m, init):
    mmap(init, 0, 2), mmap(init, 4, 2)
    write(init, 0)
    first = vma(init, 0).serial
    mmap(init, 2, 2)
    assert layout(init) == [(0, 6, "rw-p")]
    assert vma(init, 5).serial == first


def test_case_2_a_mapping_extends_the_one_before_it(init):
    first = mmap(init, 0, 2).serial
    mmap(init, 2, 2)
    assert layout(init) == [(0, 4, "rw-p")]
    assert vma(init, 0).serial == first


def test_case_3_a_mapping_extends_the_one_behind_it(m, init):
    behind = mmap(init, 2, 2).serial
    mmap(init, 0, 2)
    assert layout(init) == [(0, 4, "rw-p")]
    assert vma(init, 0).serial == behind
    assert vma(init, 0).vm_pgoff == at(init, 0) // m.page_size


def committed_ends(init):
    """Three VMAs of which all are VM_ACCOUNT, so that only their permissions keep them apart: rw, r, rw."""
    mmap(init, 0, 6)
    mprotect(init, 2, 2, "r")
    return [v.serial for v in init.maps()]


def test_case_4_the_end_of_a_vma_goes_to_the_next(init):
    serials = committed_ends(init)
    mprotect(init, 1, 1, "r")
    assert layout(init) == [(0, 1, "rw-p"), (1, 4, "r--p"), (4, 6, "rw-p")]
    assert [v.serial for v in init.maps()] == serials


def test_case_5_the_beginning_of_a_vma_goes_to_the_previous(init):
    serials = committed_ends(init)
    mprotect(init, 2, 1, "rw")
    assert layout(init) == [(0, 3, "rw-p"), (3, 4, "r--p"), (4, 6, "rw-p")]
    assert [v.serial for v in init.maps()] == serials


def test_case_6_three_become_one(init):
    serials = committed_ends(init)
    mprotect(init, 2, 2, "rw")
    assert layout(init) == [(0, 6, "rw-p")]
    assert vma(init, 5).serial == serials[0]


def test_case_7_a_whole_vma_goes_to_the_previous_and_not_to_the_next(init):
    serials = committed_ends(init)
    mprotect(init, 5, 1, "rx")
    mprotect(init, 4, 1, "rx")
    mprotect(init, 2, 2, "rw")
    assert layout(init) == [(0, 4, "rw-p"), (4, 6, "r-xp")]
    assert vma(init, 0).serial == serials[0]


def test_case_8_a_whole_vma_takes_the_next_one_in(init):
    serials = committed_ends(init)
    mprotect(init, 0, 2, "rx")
    mprotect(init, 2, 2, "rw")
    assert layout(init) == [(0, 2, "r-xp"), (2, 6, "rw-p")]
    assert vma(init, 4).serial == serials[1]


# ---------------------------------------------------------------- what keeps VMAs apart
def test_memory_that_was_once_committed_keeps_apart_from_what_never_was(init):
    mmap(init, 0, 2), mmap(init, 2, 2, "r")
    mprotect(init, 0, 2, "r")
    assert layout(init) == [(0, 2, "r--p"), (2, 4, "r--p")]


def test_pages_of_a_file_merge_only_in_sequence(m, init):
    file = m.file(8 * m.page_size)
    mmap(init, 0, 2, file=file)
    mmap(init, 2, 2, file=file, offset=2 * m.page_size)
    assert layout(init) == [(0, 4, "rw-p")]
    mmap(init, 4, 2, file=file)
    assert layout(init) == [(0, 4, "rw-p"), (4, 6, "rw-p")]


def test_another_file_keeps_apart(m, init):
    mmap(init, 0, 2, file=m.file(8 * m.page_size))
    mmap(init, 2, 2, file=m.file(8 * m.page_size), offset=2 * m.page_size)
    assert len(init.maps()) == 2


def test_two_shared_anonymous_mappings_keep_apart(m, init):
    for page in (0, 2):
        init.mmap(2 * m.page_size, flags="shared|anonymous", addr=at(init, page), fixed=True)
    assert len(init.maps()) == 2


def test_the_halves_of_a_shared_mapping_merge_again(m, init):
    mmap(init, 0, 4, file=m.file(4 * m.page_size), shared=True)
    mprotect(init, 2, 2, "r")
    assert len(init.maps()) == 2
    mprotect(init, 2, 2, "rw")
    assert layout(init) == [(0, 4, "rw-s")]


# ---------------------------------------------------------------- anon_vmas
def test_two_anon_vmas_keep_apart(init):
    mmap(init, 0, 1), mmap(init, 2, 1)
    write(init, 0, 2)
    assert vma(init, 0).anon_vma != vma(init, 2).anon_vma
    mmap(init, 1, 1)
    # joined to the previous one, not to both
    assert layout(init) == [(0, 2, "rw-p"), (2, 3, "rw-p")]


def test_a_neighbour_lends_its_anon_vma_so_that_mprotect_can_merge_them_later(init):
    committed_ends(init)
    write(init, 0, 4)
    assert vma(init, 0).anon_vma != vma(init, 4).anon_vma
    mprotect(init, 2, 1, "rwx")
    write(init, 2)
    # asked before the previous one, the next one (r, untouched) had none
    assert vma(init, 2).anon_vma == vma(init, 0).anon_vma


def test_the_next_neighbour_is_asked_first(init):
    committed_ends(init)
    write(init, 0, 4)
    mprotect(init, 2, 2, "rwx")
    write(init, 2)
    assert vma(init, 2).anon_vma == vma(init, 4).anon_vma


def test_a_neighbour_that_came_from_a_parent_lends_nothing(init):
    committed_ends(init)
    write(init, 0)
    child = init.fork()
    assert len(vma(child, 0).chain) == 2
    mprotect(child, 2, 2, "rwx")
    write(child, 2)
    assert vma(child, 2).anon_vma != vma(child, 0).anon_vma


def test_a_vma_that_came_from_a_parent_takes_no_stranger_in(init):
    mmap(init, 0, 2)
    write(init, 0)
    child = init.fork()
    mmap(child, 2, 2)
    assert layout(child) == [(0, 2, "rw-p"), (2, 4, "rw-p")]
    mmap(init, 2, 2)
    assert layout(init) == [(0, 4, "rw-p")]


def test_a_split_shares_the_anon_vma_through_a_chain_of_its_own(init):
    area = mmap(init, 0, 6)
    write(init, 0, 3, 5)
    mprotect(init, 2, 2, "r")
    one = vma(init, 0).anon_vma
    assert [(v["anon_vma"], v["chain"]) for v in vmas(init)] == [(one, [one])] * 3
    assert vma(init, 0).serial != area.serial  # the new VMA is the lower one
    assert len(init.machine.dump()["anon_vmas"][one]["vmas"]) == 3
    init.munmap(at(init, 2), 4 * init.machine.page_size)
    assert len(init.machine.dump()["anon_vmas"][one]["vmas"]) == 1


def test_a_vma_without_pages_takes_in_no_neighbour_that_has_some(init):
    committed_ends(init)
    mprotect(init, 2, 2, "rwx")
    write(init, 3)
    mprotect(init, 2, 2, "rw")
    # an empty chain is not a chain of one
    assert layout(init) == [(0, 2, "rw-p"), (2, 4, "rw-p"), (4, 6, "rw-p")]


def test_a_vma_that_takes_pages_over_gets_their_anon_vma(m, init):
    mmap(init, 0, 2), mmap(init, 4, 2)
    write(init, 4)
    anon_vma = vma(init, 4).anon_vma
    mmap(init, 2, 2)
    assert [(v["anon_vma"], v["chain"]) for v in vmas(init)] == [(anon_vma, [anon_vma])]
    assert walk(m, init.page_at(at(init, 4))) == [(vma(init, 0).serial, at(init, 4))]


def test_the_pages_stay_reachable_through_the_reverse_map_after_a_merge(m, init):
    committed_ends(init)
    write(init, 0, 1, 5)
    mprotect(init, 2, 2, "rw")
    write(init, 2, 3)
    for page in (0, 1, 2, 3, 5):
        assert walk(m, init.page_at(at(init, page))) == [(vma(init, page).serial, at(init, page))]


def walk(m, page):
    """(VMA, address) of every place where rmap_walk finds the page."""
    found = []
    m.lab.lock_page(page)
    m.rmap.rmap_walk(page, lambda page, vma, address: found.append((vma.serial, address)))
    m.lab.unlock_page(page)
    return found


# ---------------------------------------------------------------- failing allocations
def test_three_vmas_become_one_only_if_the_last_ones_anon_vma_can_be_imported(m, init):
    committed_ends(init)
    write(init, 4)
    before = vmas(init)
    m.lab.fail_alloc(1, 100, ["anon_vma_chain"])
    mprotect(init, 2, 2, "rw")
    m.lab.fail_alloc(0)
    m.check()
    # merging is not worth an error: the VMA is changed where it stands
    assert [(v["serial"], v["anon_vma"]) for v in vmas(init)] == [(v["serial"], v["anon_vma"]) for v in before]
    assert layout(init) == [(0, 2, "rw-p"), (2, 4, "rw-p"), (4, 6, "rw-p")]


@pytest.mark.parametrize("touched", [[], [0], [4], [0, 4], [2], range(6)])
@pytest.mark.parametrize(("page", "npages", "prot"), [(2, 2, "rw"), (1, 1, "r"), (2, 1, "rw"), (3, 1, "rx"), (4, 1, "r"), (5, 1, "rwx")])
def test_a_failing_allocation_of_mprotect_changes_nothing(m, init, touched, page, npages, prot):
    mmap(init, 0, 6)
    write(init, *touched)
    mprotect(init, 2, 2, "r")
    before = layout(init)

    def unchanged():
        assert layout(init) == before

    every_allocation(m, lambda: mprotect(init, page, npages, prot), unchanged, SITES)
    assert {"rw": "rw-p", "r": "r--p", "rx": "r-xp", "rwx": "rwxp"}[prot] == str(vma(init, page)).split()[1]


def test_a_range_over_several_vmas_is_changed_up_to_where_it_fails(m, init):
    committed_ends(init)
    write(init, 0, 4)
    m.lab.fail_alloc(3, 100, SITES)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        mprotect(init, 1, 4, "rx")
    m.lab.fail_alloc(0)
    assert layout(init) == [(0, 1, "rw-p"), (1, 4, "r-xp"), (4, 6, "rw-p")]
