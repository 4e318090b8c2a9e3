# SPDX-License-Identifier: GPL-2.0-only
"""remap_file_pages: nonlinear mappings, the entries that remember a page of the file, and who finds them."""

import pytest

from rmapemu import TTU, BusError, Machine, Swap, VmFlag

PAGES = 8


@pytest.fixture
def process(machine):
    return machine.spawn()


@pytest.fixture
def tmpfs(machine, process):
    """(vma, file): eight pages of a tmpfs file mapped shared, page i with content i + 1."""
    file = machine.file(PAGES * machine.page_size, "shmem")
    vma = process.mmap(PAGES * machine.page_size, flags="shared", file=file)
    for i in range(PAGES):
        process.write(vma.start + i * machine.page_size, i + 1)
    return vma, file


def remap(process, vma, at, pages, pgoff, **how):
    size = process.machine.page_size
    process.remap_file_pages(vma.start + at * size, pages * size, pgoff, **how)


def contents(process, vma, pages=PAGES):
    return [process.read(vma.start + i * process.machine.page_size) for i in range(pages)]


def test_the_pages_of_a_range_show_another_part_of_the_file(machine, process, tmpfs):
    vma, file = tmpfs
    remap(process, vma, 0, 2, 6)
    assert contents(process, vma) == [7, 8, 3, 4, 5, 6, 7, 8]
    assert vma.vm_flags & VmFlag.NONLINEAR and len(process.maps()) == 1
    assert machine.dump()["files"][file.ino]["i_mmap_nonlinear"] == [vma.serial]
    assert machine.dump()["files"][file.ino]["i_mmap"] == []
    assert process.page_at(vma.start).mapcount == 2
    machine.check()


def test_nothing_changes_where_the_place_is_the_linear_one(process, tmpfs):
    vma, _file = tmpfs
    remap(process, vma, 2, 3, 2)
    assert not vma.vm_flags & VmFlag.NONLINEAR


def test_nonblock_leaves_entries_that_name_the_page_until_they_are_touched(machine, process, tmpfs):
    vma, _file = tmpfs
    rss = machine.dump()["processes"][process.pid]["rss"][0]
    remap(process, vma, 1, 2, 4, nonblock=True)
    entries = [process.pte_at(vma.start + i * machine.page_size) for i in (1, 2)]
    assert [(e.kind, e.pgoff) for e in entries] == [("file", 4), ("file", 5)]
    assert machine.dump()["processes"][process.pid]["rss"][0] == rss - 2
    machine.check()
    assert contents(process, vma) == [1, 5, 6, 4, 5, 6, 7, 8]


def test_a_remapped_page_can_be_remapped_again(machine, process, tmpfs):
    vma, _file = tmpfs
    remap(process, vma, 0, 4, 4)
    remap(process, vma, 0, 4, 0, nonblock=True)
    remap(process, vma, 1, 1, 7)
    assert contents(process, vma) == [1, 8, 3, 4, 5, 6, 7, 8]
    machine.check()


def test_dirty_pages_stay_dirty_when_they_are_mapped_over(machine, process, tmpfs):
    vma, file = tmpfs
    page = process.page_at(vma.start)
    machine.lab.flags(page, clear=1 << 4)
    process.write(vma.start)
    remap(process, vma, 0, 1, 5)
    assert "dirty" in str(page.flags)
    assert file.nrpages == PAGES


def test_a_regular_file_is_mapped_linearly_piece_by_piece(machine, process):
    size = machine.page_size
    file = machine.file(PAGES * size)
    vma = process.mmap(PAGES * size, flags="shared", file=file)
    remap(process, vma, 2, 2, 6)
    ranges = [(v.vm_start - vma.start) // size for v in process.maps()]
    assert ranges == [0, 2, 4] and [v.vm_pgoff for v in process.maps()] == [0, 6, 4]
    assert not any(v.vm_flags & VmFlag.NONLINEAR for v in process.maps())
    # and back: the pieces become one again
    remap(process, process.maps()[1], 0, 2, 2)
    assert len(process.maps()) == 1


def test_fork_copies_entries_that_name_a_page(machine, process, tmpfs):
    vma, file = tmpfs
    remap(process, vma, 0, 1, 3)
    remap(process, vma, 1, 1, 6, nonblock=True)
    child = process.fork()
    assert child.pte_at(vma.start + machine.page_size) == process.pte_at(vma.start + machine.page_size)
    assert contents(child, vma)[:3] == [4, 7, 3]
    # the child's VMA comes right behind its parent's
    other = process.mmap(PAGES * machine.page_size, flags="shared", file=file)
    remap(process, other, 0, 1, 1)
    grandchild = process.fork()
    order = [machine.dump()["files"][file.ino]["i_mmap_nonlinear"]][0]
    owner = {v.serial: p.pid for p in machine.processes for v in p.maps()}
    assert [owner[serial] for serial in order].count(grandchild.pid) == 2
    assert owner[order[order.index(vma.serial) + 1]] == grandchild.pid
    for gone in (child, grandchild):
        gone.exit()
    machine.check()


@pytest.mark.parametrize("bad", ["private", "hole", "empty", "wrap", "huge", "anonymous"])
def test_what_cannot_be_remapped_is_einval(machine, process, tmpfs, bad):
    vma, file = tmpfs
    size = machine.page_size
    start, length, pgoff = vma.start, size, 1
    if bad == "private":
        start = process.mmap(size, file=file).start
    elif bad == "anonymous":
        start = process.mmap(size).start
    elif bad == "hole":
        start, length = vma.start + 7 * size, 2 * size
    elif bad == "empty":
        length = size - 1
    elif bad == "wrap":
        length = (1 << 63) - size
        start = 1 << 63
    else:
        pgoff = 1 << 61
    with pytest.raises(OSError, match="remap_file_pages") as caught:
        process.remap_file_pages(start, length, pgoff)
    assert caught.value.errno == 22
    assert len([v for v in process.maps() if v.vm_flags & VmFlag.NONLINEAR]) == 0


def test_a_page_past_the_end_of_the_file_is_a_bus_error_when_it_is_touched(machine, process, tmpfs):
    vma, _file = tmpfs
    remap(process, vma, 0, 1, PAGES + 3)
    with pytest.raises(BusError):
        process.read(vma.start)


def test_lack_of_a_table_is_enomem(machine, process):
    file = machine.file(PAGES * machine.page_size, "shmem")
    vma = process.mmap(PAGES * machine.page_size, flags="shared", file=file)
    machine.lab.fail_alloc(1, kind="table")
    with pytest.raises(OSError, match="remap_file_pages") as caught:
        remap(process, vma, 0, 1, 3)
    assert caught.value.errno == 12
    machine.check()


def test_a_locked_mapping_unlocks_what_it_maps_over_and_locks_what_it_shows(machine, process, tmpfs):
    vma, _file = tmpfs
    process.mlock(vma.start, PAGES * machine.page_size)
    assert machine.vmstat["nr_mlock"] == PAGES
    hidden = process.page_at(vma.start)
    remap(process, vma, 0, 1, 5)
    assert "mlocked" not in str(hidden.flags) and machine.vmstat["nr_mlock"] == PAGES - 1
    assert vma.vm_flags & VmFlag.LOCKED and vma.vm_flags & VmFlag.NONLINEAR
    process.munlock(vma.start, PAGES * machine.page_size)
    assert machine.vmstat["nr_mlock"] == 0


def test_truncation_finds_pages_wherever_they_are_mapped_and_remembers_the_place(machine, process, tmpfs):
    vma, file = tmpfs
    remap(process, vma, 0, 2, 6)
    file.truncate(6 * machine.page_size)
    entry = process.pte_at(vma.start)
    assert (entry.kind, entry.pgoff) == ("file", 6)
    assert process.pte_at(vma.start + 7 * machine.page_size).kind == "none"
    with pytest.raises(BusError):
        process.read(vma.start)
    assert [process.read(vma.start + i * machine.page_size) for i in range(2, 6)] == [3, 4, 5, 6]


def test_notifiers_hear_of_the_range(machine, process, tmpfs):
    vma, _file = tmpfs
    heard = []
    machine.lab.notifier(process, invalidate_range_start=lambda p, a, b: heard.append(("start", a, b)))
    remap(process, vma, 0, 2, 5)
    assert heard == [("start", vma.start, vma.start + 2 * machine.page_size)]


# ---------------------------------------------------------------- the cluster scan
def test_reclaim_sweeps_clusters_and_leaves_entries_that_name_the_page(machine, process, tmpfs):
    vma, _file = tmpfs
    remap(process, vma, 0, 2, 6)
    page = process.page_at(vma.start)
    lab, rmap = machine.lab, machine.rmap
    lab.lock_page(page)
    # young entries are passed over once, and their pages aged by that
    first = rmap.try_to_unmap(page)
    assert first is (Swap.AGAIN if machine.arch != "s390" else Swap.SUCCESS)
    if machine.arch != "s390":
        assert rmap.try_to_unmap(page) is Swap.SUCCESS
    assert page.mapcount == 0
    kinds = [process.pte_at(vma.start + i * machine.page_size).kind for i in range(PAGES)]
    assert kinds[:2] == ["file", "file"] and set(kinds[2:]) <= {"none", "present"}
    assert process.pte_at(vma.start).pgoff == 6
    lab.unlock_page(page)
    assert contents(process, vma) == [7, 8, 3, 4, 5, 6, 7, 8]
    machine.check()


def test_the_mapcount_is_the_effort_and_the_cursor_goes_round(arch):
    with Machine(arch, "16M", swap="16M") as m:
        size, many = m.page_size, 128
        process, file = m.spawn(), m.file(128 * m.page_size, "shmem")
        vma = process.mmap(many * size, flags="shared", file=file, addr=0x400000)
        for i in range(many):
            process.read(vma.start + i * size)
        process.remap_file_pages(vma.start, size, 1)
        lab, rmap, cursors = m.lab, m.rmap, []
        page = process.page_at(vma.start)
        lab.lock_page(page)
        for i in range(many):
            entry = process.pte_at(vma.start + i * size)
            lab.set_pte(process, vma.start + i * size, m.page(entry.pfn))
        for _ in range(5):
            with m.measure() as cost:
                rmap.try_to_unmap_file(page, TTU.UNMAP)
            cursors.append((lab.cursor(vma), cost.clusters_scanned))
        # a cluster empties: 32 entries are more than the mapcount asks for
        assert cursors[0] == (32 * size, 1)
        assert [scanned for _, scanned in cursors][:2] == [1, 1] or page.mapcount == 0
        lab.unlock_page(page)
        m.check()


def test_a_cursor_beyond_every_cluster_starts_anew(machine, lab_nonlinear):
    lab, vma, page = lab_nonlinear
    lab.lock_page(page)
    lab.cursor(vma, 1 << 30)
    assert machine.rmap.try_to_unmap_file(page) is Swap.AGAIN
    assert lab.cursor(vma) == 0 and page.mapcount == 1
    lab.unlock_page(page)


def test_a_page_is_unswappable_where_all_nonlinear_vmas_have_no_size(machine, lab_nonlinear):
    lab, vma, page = lab_nonlinear
    lab.lock_page(page)
    with pytest.raises(ValueError, match="npages"):
        lab.vma_bounds(lab.vma(lab.mm(), 0x200000, 1), 0x200000, 0)
    vma = lab.vma_bounds(vma, 0x200000, 0)
    assert machine.rmap.try_to_unmap_file(page) is Swap.FAIL
    assert machine.rmap.try_to_munlock(page) is Swap.AGAIN
    lab.vma_bounds(vma, 0x200000, 1)
    lab.unlock_page(page)


def test_a_page_that_nothing_maps_is_no_effort(machine, lab_nonlinear):
    lab, vma, page = lab_nonlinear
    other = lab.file_page(vma.file, 1)
    lab.lock_page(other)
    with machine.measure() as cost:
        assert machine.rmap.try_to_unmap_file(other) is Swap.AGAIN
        assert machine.rmap.try_to_unmap(other) is Swap.SUCCESS
    assert cost.clusters_scanned == 0 and page.mapcount == 1
    lab.unlock_page(other)


def test_flags_change_without_changing_the_order_of_visits(machine, lab_nonlinear):
    lab, first, page = lab_nonlinear
    second = lab.vma_dup(first, lab.mm())
    order = machine.dump()["files"][first.file.ino]["i_mmap_nonlinear"]
    assert order == [first.serial, second.serial]
    lab.vma_flags(first, first.vm_flags | VmFlag.SEQ_READ)
    assert machine.dump()["files"][first.file.ino]["i_mmap_nonlinear"] == order
    lab.vma_flags(first, first.vm_flags & ~VmFlag.NONLINEAR)
    lab.vma_flags(first, first.vm_flags | VmFlag.NONLINEAR)
    assert machine.dump()["files"][first.file.ino]["i_mmap_nonlinear"] == order[::-1]
    assert page.mapcount == 1


@pytest.fixture
def lab_nonlinear(machine):
    """(lab, nonlinear vma of one page, a page of its file mapped at its place and accounted for)."""
    lab, file = machine.lab, machine.lab.file(4, "shmem")
    mm = lab.mm()
    vma = lab.vma(mm, 0x200000, 1, VmFlag.READ | VmFlag.SHARED | VmFlag.NONLINEAR, 0, file)
    page = lab.file_page(file, 2)
    machine.rmap.page_add_file_rmap(page)
    lab.get_page(page)
    lab.set_pte(mm, 0x200000, page)
    lab.rss(mm, "file", 1)
    return lab, vma, page
