# SPDX-License-Identifier: GPL-2.0-only
"""The workbench: states built by hand, on which the reverse map is asked."""

import pytest

from rmapemu import TTU, KernelBug, OutOfMemory, Swap, VmFlag, WouldBlock

START = 0x30000


@pytest.fixture
def lab(machine):
    return machine.lab


@pytest.fixture
def anon(machine, lab):
    """(mm, vma of one page, its page), mapped and young."""
    mm = lab.mm()
    vma = lab.vma(mm, START, 1)
    page = lab.page()
    machine.rmap.anon_vma_prepare(vma)
    machine.rmap.page_add_new_anon_rmap(page, vma, START)
    lab.set_pte(mm, START, page, write=True, young=True, dirty=True)
    lab.rss(mm, "anon", 1)
    return mm, vma, page


def test_a_page_mapped_by_hand_is_found_and_referenced_once(machine, lab, anon):
    mm, vma, page = anon
    assert machine.rmap.page_address_in_vma(page, vma) == START
    assert machine.rmap.page_mapped_in_vma(page, vma)
    lab.lock_page(page)
    assert machine.rmap.page_referenced(page, True)[0] == 1
    assert machine.rmap.page_referenced(page, True)[0] == 0
    lab.unlock_page(page)
    assert page.mappers() == [(mm, vma, START)]


def test_unmapping_needs_a_slot_and_leaves_a_swap_entry(machine, lab, anon):
    mm, _vma, page = anon
    lab.lock_page(page)
    lab.swapcache(page, 0, 7)
    assert machine.rmap.try_to_unmap(page, TTU.UNMAP | TTU.IGNORE_ACCESS) is Swap.SUCCESS
    entry = lab.get_pte(mm, START)
    assert (entry.kind, entry.offset) == ("swap", 7)
    assert lab.swap_count(0, 7) == 1
    assert lab.rss(mm, "anon") == 0 and lab.rss(mm, "swap") == 1
    assert lab.mmlist(mm)
    lab.unlock_page(page)


def test_the_bench_costs_nothing(machine, lab):
    with machine.measure() as cost:
        mm = lab.mm()
        lab.vma(mm, START, 4)
        lab.set_pte(mm, START, lab.page())
    assert not any(cost.as_dict().values())
    lab.set_pte(mm, START)


def test_an_allocation_fails_when_the_bench_says_so_and_its_own_never(machine, lab):
    mm = lab.mm()
    lab.fail_alloc(1, kind="anon_vma")
    vma = lab.vma(mm, START, 1)
    with pytest.raises(OutOfMemory):
        machine.rmap.anon_vma_prepare(vma)
    assert vma.anon_vma is None
    machine.rmap.anon_vma_prepare(vma)
    assert vma.chain == [vma.anon_vma]
    with pytest.raises(ValueError, match="anon_vma"):
        lab.fail_alloc(1, kind="anon")


def test_a_lock_held_by_someone_else_blocks_until_the_callback_frees_it(machine, lab):
    process = machine.spawn()
    heap = process.mmap(machine.page_size)
    lab.hold("mmap_sem", process)
    with pytest.raises(WouldBlock, match="mmap_sem"):
        process.munmap(heap.start, len(heap))
    asked = []

    def free(lock, owner):
        asked.append((lock, owner))
        lab.release("mmap_sem", owner)
        return True

    lab.on_block(free)
    process.munmap(heap.start, len(heap))
    assert asked == [("mmap_sem", process)]
    lab.on_block(None)


def test_what_a_callback_raises_comes_out_and_the_machine_goes_on(machine, lab):
    process = machine.spawn()
    lab.hold("mmap_sem", process)

    def fail(lock, owner):
        raise LookupError(lock)

    lab.on_block(fail)
    with pytest.raises(LookupError, match="mmap_sem"):
        process.mmap(machine.page_size)
    lab.release("mmap_sem", process)
    process.mmap(machine.page_size)


def test_a_kernel_bug_kills_the_machine_until_it_is_revived(machine, lab, anon):
    _mm, _vma, page = anon
    with pytest.raises(KernelBug, match="BUG_ON") as caught:
        machine.rmap.try_to_unmap(page)
    assert machine.dead and caught.value.function == "try_to_unmap"
    with pytest.raises(KernelBug):
        machine.spawn()
    machine.dump()
    lab.revive()
    machine.spawn()


def test_a_walk_visits_each_mapping_and_an_exception_ends_it(machine, lab, anon):
    _mm, vma, page = anon
    seen = []
    lab.lock_page(page)
    assert machine.rmap.rmap_walk(page, lambda p, v, a: seen.append((p, v, a))) is Swap.AGAIN
    assert seen == [(page, vma, START)]

    def fail(page, vma, address):
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        machine.rmap.rmap_walk(page, fail)
    lab.unlock_page(page)


def test_the_machine_is_refused_inside_a_callback(machine, lab, anon):
    _mm, _vma, page = anon
    lab.lock_page(page)
    with pytest.raises(RuntimeError, match="running"):
        machine.rmap.rmap_walk(page, lambda p, v, a: machine.spawn())
    with pytest.raises(RuntimeError, match="VMAs"):
        machine.rmap.rmap_walk(page, lambda p, v, a: lab.vma_remove(v))
    lab.unlock_page(page)


def test_vmas_are_built_moved_and_removed(machine, lab):
    mm = lab.mm()
    file = lab.file(8)
    vma = lab.vma(mm, START, 4, VmFlag.READ | VmFlag.SHARED | VmFlag.MAYSHARE, pgoff=2, file=file)
    page = lab.file_page(file, 3)
    assert machine.rmap.vma_address(page, vma) == START + machine.page_size
    vma = lab.vma_bounds(vma, START + 4 * machine.page_size, 2, pgoff=3)
    assert machine.rmap.vma_address(page, vma) == vma.start
    twin = lab.vma_dup(vma, start=START)
    assert twin.file == file and twin.vm_flags == vma.vm_flags
    machine.check()
    with pytest.raises(ValueError, match="already"):
        lab.vma(mm, START, 1)
    lab.vma_remove(vma)
    lab.vma_remove(twin)
    with pytest.raises(LookupError):
        lab.vma_flags(vma)


def test_young_and_dirty_are_where_the_arch_keeps_them(machine, lab, anon):
    mm, _vma, page = anon
    entry = lab.get_pte(mm, START)
    if machine.dump()["pages"][page.pfn].get("key") is None:
        assert entry.young and entry.dirty
        with pytest.raises(ValueError, match="no storage keys"):
            lab.storage_key(page)
    else:
        assert lab.storage_key(page) & 6 == 6
        lab.storage_key(page, 0)
        assert lab.touch(mm, START, "r")
        assert lab.storage_key(page) & 6 == 4


def test_a_touch_does_not_fault(machine, lab, anon):
    mm, _vma, _page = anon
    assert lab.touch(mm, START, "w")
    assert not lab.touch(mm, START + machine.page_size)
    assert machine.vmstat["pgfault"] == 0
