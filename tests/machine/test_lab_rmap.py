# SPDX-License-Identifier: GPL-2.0-only
"""Every function of mm/rmap.c on states built by hand: the static ones, and those that return with a lock taken."""

import re

import pytest

from rmapemu import GoneError, KernelBug, LockOrderError, Swap, VmFlag
from support.lab import START

LISTING = re.findall(
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
page_referenced_ksm try_to_unmap_ksm rmap_walk_ksm page_check_address_pmd
""",
)


@pytest.mark.parametrize("name", LISTING)
def test_every_function_of_the_listing_can_be_called(rmap, name):
    assert callable(getattr(rmap, name)) and getattr(rmap, name).__doc__


def test_a_name_that_the_listing_has_not_is_said_so(rmap):
    with pytest.raises(AttributeError, match="__page_lock"):
        rmap.__page_lock  # noqa: B018


# ---------------------------------------------------------------- linking
def test_an_anon_vma_is_born_with_one_reference_and_is_its_own_root(machine, rmap):
    serial = rmap.anon_vma_alloc()
    assert machine.dump()["anon_vmas"][serial] == {"root": serial, "refcount": 1, "lock": 0, "vmas": []}
    rmap.put_anon_vma(serial)
    with pytest.raises(GoneError, match="anon_vma"):
        rmap.put_anon_vma(serial)


def test_freeing_an_anon_vma_that_is_referenced_is_a_bug(machine, lab, rmap):
    serial = rmap.anon_vma_alloc()
    with pytest.raises(KernelBug, match="refcount"):
        rmap.anon_vma_free(serial)
    lab.revive()
    rmap.anon_vma_ctor(serial)
    rmap.anon_vma_free(serial)


def test_the_last_put_of_a_child_drops_its_root_too(machine, lab, rmap):
    parent, child = lab.vma(lab.mm(), START, 1), lab.vma(lab.mm(), START, 1)
    rmap.anon_vma_prepare(parent)
    rmap.anon_vma_fork(child, parent)
    root, own = parent.anon_vma, child.anon_vma
    rmap.get_anon_vma(own)
    rmap.unlink_anon_vmas(parent)
    rmap.unlink_anon_vmas(child)
    assert machine.dump()["anon_vmas"][own]["refcount"] == 1
    assert machine.dump()["anon_vmas"][root]["refcount"] == 1
    rmap.put_anon_vma(own)
    assert machine.dump()["anon_vmas"] == {}
    for vma in (parent, child):
        lab.vma_anon_vma(vma, None)


def test_a_chain_entry_is_linked_first_in_the_vma_and_last_in_the_anon_vma(machine, lab, rmap):
    mm = lab.mm()
    one, two = lab.vma(mm, START, 1), lab.vma(mm, START + (1 << 16), 1)
    first, second = rmap.anon_vma_alloc(), rmap.anon_vma_alloc()
    for vma, serial in [(one, first), (one, second), (two, first)]:
        rmap.anon_vma_chain_link(vma, rmap.anon_vma_chain_alloc(), serial)
    assert one.chain == [second, first]
    assert machine.dump()["anon_vmas"][first]["vmas"] == [one.serial, two.serial]
    rmap.unlink_anon_vmas(one)
    rmap.unlink_anon_vmas(two)
    # both were freed when their lists became empty: allocation is the one reference
    assert machine.dump()["anon_vmas"] == {}


def test_a_chain_entry_can_be_freed_while_it_is_linked_nowhere_and_only_then(lab, rmap):
    vma, serial, entry = lab.vma(lab.mm(), START, 1), rmap.anon_vma_alloc(), rmap.anon_vma_chain_alloc()
    spare = rmap.anon_vma_chain_alloc(0)
    rmap.anon_vma_chain_link(vma, entry, serial)
    for gone in (entry, 99):
        with pytest.raises(GoneError, match="anon_vma_chain"):
            rmap.anon_vma_chain_free(gone)
    rmap.anon_vma_chain_free(spare)
    rmap.unlink_anon_vmas(vma)


def test_an_allocation_that_fails_gives_none(lab, rmap):
    lab.fail_alloc(1, 2, kind=("anon_vma", "anon_vma_chain"))
    assert rmap.anon_vma_alloc() is None
    assert rmap.anon_vma_chain_alloc() is None


def test_the_lock_of_a_root_is_kept_over_a_chain_and_a_second_root_is_a_warning(machine, lab, rmap):
    one, two = rmap.anon_vma_alloc(), rmap.anon_vma_alloc()
    root = rmap.lock_anon_vma_root(None, one)
    assert root == one and lab.locks_held() == [("anon_vma", one)]
    assert rmap.lock_anon_vma_root(root, one) == one and machine.warnings == 0
    root = rmap.lock_anon_vma_root(root, two)
    assert root == two and machine.warnings == 1 and lab.locks_held() == [("anon_vma", two)]
    rmap.unlock_anon_vma_root(root)
    rmap.unlock_anon_vma_root(None)
    assert lab.locks_held() == []
    with pytest.raises(ValueError, match="not held"):
        rmap.unlock_anon_vma_root(root)


def test_a_page_locks_its_anon_vma_until_it_is_unlocked(machine, lab, rmap, anon):
    _mm, vma, page = anon
    serial = rmap.page_lock_anon_vma(page)
    assert serial == vma.anon_vma and lab.locks_held() == [("anon_vma", serial)]
    with pytest.raises(LockOrderError):
        machine.spawn().mmap(1 << 14).process.write(0)
    lab.revive()
    serial = rmap.page_lock_anon_vma(page)
    rmap.page_unlock_anon_vma(serial)
    assert lab.locks_held() == []


def test_a_page_that_is_not_mapped_locks_nothing(lab, rmap, anon):
    _mm, _vma, page = anon
    lab.mapcount(page, 0)
    assert rmap.page_lock_anon_vma(page) is None and rmap.page_get_anon_vma(page) is None
    lab.mapcount(page, 1)
    assert rmap.page_lock_anon_vma(lab.page()) is None


# ---------------------------------------------------------------- where, used, clean
def test_an_entry_that_is_not_present_takes_the_lock_only_with_sync(machine, lab, rmap, anon):
    mm, vma, page = anon
    lab.set_pte(mm, START)
    for sync, locks in [(False, 0), (True, 1)]:
        with machine.measure() as cost:
            assert rmap.page_check_address(page, mm, START, sync) is None
        assert cost.lock_ptl == locks
    lab.set_pte(mm, START, page, write=True)
    assert rmap.page_check_address(page, mm, START).pfn == page.pfn
    assert getattr(rmap, "__page_check_address")(page, mm, vma.start).pfn == page.pfn


def test_the_parts_of_page_referenced_collect_flags_on_top_of_the_callers(machine, lab, rmap, anon, shared):
    _mm, vma, page = anon
    # where young is in the storage key, only page_referenced asks for it
    young = machine.arch != "s390"
    flags = VmFlag.ACCOUNT | VmFlag.READ | VmFlag.WRITE if young else VmFlag.ACCOUNT
    assert rmap.page_referenced_anon(page, None, 1 << 20) == (young, flags)
    assert rmap.page_referenced_anon(page) == (0, 0)
    assert rmap.page_referenced_one(page, vma, START, 1, VmFlag.SHARED) == (0, 0, VmFlag.SHARED)
    file_page = shared[2]
    with pytest.raises(KernelBug, match="PageLocked"):
        rmap.page_referenced_file(file_page)
    lab.revive()
    lab.lock_page(file_page)
    assert rmap.page_referenced_file(file_page)[0] == young
    lab.unlock_page(file_page)


def test_a_page_without_a_mapping_is_an_oops_where_the_kernel_follows_the_pointer(lab, rmap):
    page = lab.page()
    lab.lock_page(page)
    for call in (rmap.page_referenced_file, rmap.try_to_unmap_file):
        with pytest.raises(KernelBug, match="oops"):
            call(page)
        lab.revive()


def test_the_parts_of_page_mkclean_clean_one_vma_and_one_file(machine, lab, rmap, shared):
    mm, vma, page = shared
    va = START + machine.page_size
    assert rmap.page_mkclean_one(page, vma, va) == 1
    assert not lab.get_pte(mm, va).write and not lab.get_pte(mm, va).dirty
    assert rmap.page_mkclean_one(page, vma, va) == 0
    lab.set_pte(mm, va, page, write=True, dirty=True)
    assert rmap.page_mkclean_file(vma.file, page) == 1
    lab.vma_flags(vma, VmFlag.READ | VmFlag.WRITE)
    lab.set_pte(mm, va, page, write=True, dirty=True)
    assert rmap.page_mkclean_file(vma.file, page) == 0


# ---------------------------------------------------------------- adding
def test_setting_the_anon_rmap_picks_the_root_unless_exclusive(machine, lab, rmap):
    parent, child = lab.vma(lab.mm(), START, 2), lab.vma(lab.mm(), START, 2)
    rmap.anon_vma_prepare(parent)
    rmap.anon_vma_fork(child, parent)
    page, own, again = lab.page(), lab.page(), lab.page()
    rmap.page_set_anon_rmap(page, child, START, False)
    rmap.page_set_anon_rmap(own, child, START + machine.page_size, True)
    assert (page.anon_vma, own.anon_vma) == (parent.anon_vma, child.anon_vma)
    assert own.index == (START + machine.page_size) // machine.page_size
    rmap.page_set_anon_rmap(page, child, START + machine.page_size, True)
    assert page.anon_vma == parent.anon_vma and page.index == START // machine.page_size
    rmap.page_check_anon_rmap(page, child, START)
    lab.mapping(again, child.anon_vma)
    with pytest.raises(KernelBug, match="linear_page_index"):
        rmap.page_check_anon_rmap(again, child, START)
    lab.revive()
    getattr(rmap, "__page_check_anon_rmap")(page, child, START)


def test_a_vma_without_anon_vma_is_a_bug_that_names_the_function(lab, rmap):
    vma, page = lab.vma(lab.mm(), START, 1), lab.page()
    for call, name in [(rmap.page_set_anon_rmap, "__page_set_anon_rmap"), (rmap.hugepage_set_anon_rmap, "__hugepage_set_anon_rmap")]:
        with pytest.raises(KernelBug, match="anon_vma") as caught:
            call(page, vma, START, True)
        assert caught.value.function == name
        lab.revive()


# ---------------------------------------------------------------- walking
def test_the_walks_hand_their_argument_on_and_stop_at_what_is_returned(machine, lab, rmap, anon, shared):
    _mm, vma, page = anon
    seen = []

    def visit(page, vma, address, arg=None):
        seen.append((page, vma.serial, address, arg))
        return Swap.FAIL

    assert rmap.rmap_walk_anon(page, visit, "x") is Swap.FAIL
    assert seen == [(page, vma.serial, START, "x")]
    assert rmap.rmap_walk_file(shared[2], visit) is Swap.FAIL
    assert seen[1:] == [(shared[2], shared[1].serial, START + machine.page_size, None)]
    assert rmap.rmap_walk_anon(shared[2], visit) is Swap.AGAIN
    assert rmap.rmap_walk_file(lab.page(), visit) is Swap.AGAIN


def test_a_walker_that_raises_leaves_no_lock(lab, rmap, anon):
    _mm, _vma, page = anon

    def fail(page, vma, address):
        assert lab.locks_held()[-1][0] == "anon_vma"
        raise LookupError(address)

    with pytest.raises(LookupError):
        rmap.rmap_walk_anon(page, fail)
    assert lab.locks_held() == []
    assert rmap.page_referenced(page)[0] == 1
