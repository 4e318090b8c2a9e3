# SPDX-License-Identifier: GPL-2.0-only
"""Fork: which entries are copied, and how. Kernel: mm/memory.c (copy_page_range)."""

import pytest

from rmapemu import Machine
from rmapemu.machine.enums import PageFlag


@pytest.fixture
def m(arch):
    with Machine(arch=arch, memory="32M", swap="8M") as machine:
        yield machine
        machine.check()


@pytest.fixture
def init(m):
    return m.spawn("init")


def pages(m, area, n):
    return [area.start + i * m.page_size for i in range(n)]


def tables(m):
    """Frames that hold tables."""
    return sum(PageFlag.table in PageFlag(int(bits)) for bits in m.mem_map["flags"])


def test_every_entry_of_a_private_area_is_shared_and_protected(m, init):
    area = init.mmap(2000 * m.page_size)
    init.access(pages(m, area, 2000), "w")
    child = init.fork()
    assert child.rss == init.rss == {"anon": 2000, "file": 0, "swap": 0}
    for va in pages(m, area, 2000)[::97]:
        assert init.page_at(va).mapcount == 2
        assert not init.pte_at(va).write
        assert not child.pte_at(va).write


def test_the_childs_entries_are_old(m, init):
    area = init.mmap(m.page_size)
    init.write(area.start)
    child = init.fork()
    if m.arch == "x86_64":
        assert init.pte_at(area.start).young
        assert not child.pte_at(area.start).young


@pytest.mark.parametrize("level", [1, 2])
def test_the_child_gets_the_upper_tables_of_an_area_whose_leaf_tables_are_gone(m, init, level):
    """pud_alloc and pmd_alloc come before the parent's entry is looked at."""
    fmt = m.backend.format
    top_only = tables(m)
    span = 1 << fmt.level[level].shift
    area = init.mmap(2 * span, flags="private|anonymous|noreserve", addr=4 * span, fixed=True)
    init.write(area.start + span)
    init.munmap(area.start + span, span)  # its own tables go with it; those above serve the rest of the area
    before = tables(m)
    # the table above the highest level is the top one, which a process always has
    assert (before > top_only) == (level < fmt.levels - 1)
    init.fork()
    assert tables(m) == 2 * before


def test_a_file_mapping_without_copies_is_left_to_the_childs_faults(m, init):
    file = m.file(4 * m.page_size)
    area = init.mmap(4 * m.page_size, file=file, flags="shared")
    init.access(pages(m, area, 4), "w")
    child = init.fork()
    assert child.rss["file"] == 0
    assert child.page_at(area.start) is None
    child.read(area.start)
    assert child.page_at(area.start) == file.page(0)


def test_a_private_file_mapping_with_a_copy_is_copied_whole(m, init):
    file = m.file(4 * m.page_size)
    area = init.mmap(4 * m.page_size, file=file)
    init.access(pages(m, area, 4), "r")
    init.write(area.start)
    child = init.fork()
    assert child.rss == {"anon": 1, "file": 3, "swap": 0}
    assert file.page(1).mapcount == 2


def test_the_parents_stale_translations_are_flushed_once(m, init):
    area = init.mmap(2000 * m.page_size)
    init.access(pages(m, area, 2000), "w")
    with m.measure() as cost:
        init.fork()
    assert cost.tlb_flush_mm == 1


def test_the_parent_faults_on_its_next_store(m, init):
    area = init.mmap(m.page_size)
    init.write(area.start)
    init.fork()
    faults = m.vmstat["pgfault"]
    init.write(area.start)
    assert m.vmstat["pgfault"] == faults + 1


def test_swapped_pages_are_shared_by_their_slots(m, init):
    n = (36 << 20) // m.page_size
    area = init.mmap(36 << 20, flags="private|anonymous|noreserve")
    init.access(pages(m, area, n), "w")
    swapped = init.rss["swap"]
    assert swapped > 0
    child = init.fork()
    assert child.rss["swap"] > 0
    assert child.rss["swap"] + child.rss["anon"] == n
    child.exit()
    assert init.rss["swap"] + init.rss["anon"] == n


def test_a_chain_of_children_shares_one_page(m, init):
    area = init.mmap(m.page_size)
    init.write(area.start, 5)
    chain = [init]
    for _ in range(10):
        chain.append(chain[-1].fork())
    assert init.page_at(area.start).mapcount == 11
    chain[4].write(area.start, 6)
    assert [p.read(area.start) for p in chain] == [5] * 4 + [6] + [5] * 6
    for process in chain[:-1]:
        process.exit()
    assert chain[-1].read(area.start) == 5


def test_a_page_on_its_way_elsewhere_puts_the_child_on_swapoffs_list_though_the_parent_is_not(m, init):
    area = init.mmap(m.page_size)
    init.write(area.start)
    page = init.page_at(area.start)
    m.lab.set_pte(init, area.start, migration=page, write=True)
    assert not m.lab.mmlist(init)
    child = init.fork()
    assert m.lab.mmlist(child)
    assert [p.pte_at(area.start).kind for p in (init, child)] == ["migration", "migration"]
    for p in init, child:
        m.lab.set_pte(p, area.start)
    m.lab.set_pte(init, area.start, page)


def test_an_entry_of_a_slot_that_nobody_uses_is_copied_as_if_it_had_been_counted(m, init):
    area = init.mmap(m.page_size)
    init.write(area.start)
    page = init.page_at(area.start)
    m.lab.set_pte(init, area.start, swap=(0, 9))
    child = init.fork()
    assert [(p.pte_at(area.start).kind, p.pte_at(area.start).offset) for p in (init, child)] == [("swap", 9)] * 2
    assert m.lab.swap_count(0, 9) == 0
    for p in init, child:
        m.lab.set_pte(p, area.start)
    m.lab.rss(child, "swap", 0)
    m.lab.set_pte(init, area.start, page)


def test_a_leaf_table_of_the_child_may_be_had_by_reclaim_from_both(arch):
    """The table is allocated before the locks of the two: reclaim takes them for pages that they share."""
    with Machine(arch=arch, memory="2M", swap="8M") as m:
        parent = m.spawn("parent")
        for i in range(1, 61):
            parent.write(parent.mmap(m.page_size, addr=i << 21, fixed=True).start)      # a leaf table each
        family = [parent]
        while not m.vmstat["pswpout"]:
            family.append(family[-1].fork())
        m.check()
        assert sum(process.rss["anon"] + process.rss["swap"] for process in family) == 60 * len(family)
