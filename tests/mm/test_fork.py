# SPDX-License-Identifier: GPL-2.0-only
"""Address spaces come and go: fork, exec, exit. Kernel: kernel/fork.c (dup_mm, dup_mmap, mmput), fs/exec.c."""

import pytest

from rmapemu import Machine
from rmapemu.machine.enums import VmFlag
from support.failing import every_allocation

BASE = 0x10000000


@pytest.fixture
def m(arch):
    with Machine(arch, memory="16M", swap="4M") as machine:
        yield machine
        machine.check()


@pytest.fixture
def init(m):
    return m.spawn("init")


def mmap(process, page, npages, prot="rw", flags="private|anonymous", **more):
    size = process.machine.page_size
    return process.mmap(npages * size, prot, flags, addr=BASE + page * size, fixed=True, **more)


def layout(process):
    size = process.machine.page_size
    return [((v.start - BASE) // size, (v.end - BASE) // size, str(v).split()[1]) for v in process.maps()]


def state(process):
    return process.machine.dump()["processes"][process.pid]


def committed(m):
    return m.dump()["machine"]["committed_as"]


def world(m):
    """What must be as before when a call has failed."""
    now, vmstat = m.dump(), m.vmstat
    return {
        "processes": {pid: (p["vmas"], p["rss"], p["total_vm"]) for pid, p in now["processes"].items()},
        "anon_vmas": {n: (av["root"], av["refcount"], av["vmas"]) for n, av in now["anon_vmas"].items()},
        "files": {n: (f["i_mmap"], f["i_mmap_nonlinear"]) for n, f in now["files"].items()},
        "free": vmstat["nr_free_pages"],
        "tables": vmstat["nr_page_table_pages"],
        "committed": now["machine"]["committed_as"],
    }


# ---------------------------------------------------------------- fork
def test_a_child_has_the_same_vmas_and_counters(m, init):
    file = m.file(4 * m.page_size)
    mmap(init, 0, 2), mmap(init, 2, 2, "r"), mmap(init, 4, 4, "rx", "shared", file=file)
    init.brk(init.brk() + m.page_size)
    child = init.fork()
    assert layout(child) == layout(init)
    same = ("total_vm", "shared_vm", "exec_vm", "stack_vm", "start_brk", "brk", "mmap_base")
    assert {name: state(child)[name] for name in same} == {name: state(init)[name] for name in same}


def test_a_childs_high_water_marks_begin_with_what_it_has(m, init):
    mmap(init, 0, 4), mmap(init, 8, 4)
    for page in (0, 1, 8):
        init.write(BASE + page * m.page_size)
    init.munmap(BASE + 8 * m.page_size, 4 * m.page_size)
    assert (state(init)["hiwater_rss"], state(init)["hiwater_vm"]) == (3, 8)
    child = init.fork()
    assert (state(child)["hiwater_rss"], state(child)["hiwater_vm"]) == (2, 4)
    assert (child.min_flt, child.maj_flt) == (0, 0)


def test_what_is_not_to_be_copied_is_not_counted_either(m, init):
    mmap(init, 0, 2), mmap(init, 4, 3, "rw", "shared", file=m.file(3 * m.page_size))
    vma = init.maps()[1]
    m.lab.vma_flags(vma, vma.vm_flags | VmFlag.DONTCOPY)
    child = init.fork()
    assert layout(child) == [(0, 2, "rw-p")]
    assert (state(child)["total_vm"], state(child)["shared_vm"]) == (2, 0)


def test_a_childs_memory_is_committed_again(m, init):
    mmap(init, 0, 4), mmap(init, 4, 4, "r")
    assert committed(m) == 4
    child = init.fork()
    assert committed(m) == 8
    child.exit()
    assert committed(m) == 4


def test_a_fork_that_cannot_be_committed_leaves_nothing(m, init):
    mmap(init, 0, 4), mmap(init, 8, 600)
    m.sysctl.overcommit_memory = 2
    m.sysctl.overcommit_ratio = 0  # what is left is swap: 1024 pages
    before = world(m)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        init.fork()
    assert world(m) == before


def test_the_parents_tlb_is_flushed_for_its_entries_are_read_only_now(m, init):
    mmap(init, 0, 2)
    init.write(BASE, 1)
    with m.measure() as cost:
        child = init.fork()
    assert cost.tlb_flush_mm == 1
    init.write(BASE, 2)
    assert child.read(BASE) == 1


def test_a_shared_mapping_is_counted_as_a_writer_of_its_file(m, init):
    file = m.file(2 * m.page_size)
    mmap(init, 0, 2, "rw", "shared", file=file)
    child = init.fork()
    assert m.dump()["files"][file.ino]["i_mmap_writable"] == 2
    child.exit()
    assert m.dump()["files"][file.ino]["i_mmap_writable"] == 1


def test_a_file_mapping_is_not_copied_entry_by_entry(m, init):
    mmap(init, 0, 4, "rw", "shared", file=m.file(4 * m.page_size))
    init.write(BASE)
    child = init.fork()
    assert child.rss == {"file": 0, "anon": 0, "swap": 0}
    child.read(BASE)
    assert child.rss["file"] == 1


def test_a_child_of_a_child_reaches_back_to_the_first_anon_vma(m, init):
    mmap(init, 0, 1)
    init.write(BASE)
    child = init.fork()
    grandchild = child.fork()
    assert [len(p.maps()[0].chain) for p in (init, child, grandchild)] == [1, 2, 3]
    anon_vmas = m.dump()["anon_vmas"]
    first = init.maps()[0].anon_vma
    assert {anon_vmas[n]["root"] for n in grandchild.maps()[0].chain} == {first}
    assert len(anon_vmas[first]["vmas"]) == 3


def test_a_parent_may_go_before_its_child(m, init):
    mmap(init, 0, 2)
    init.write(BASE, 5)
    child = init.fork()
    init.exit()
    m.check()
    assert child.read(BASE) == 5
    child.exit()
    assert m.dump()["anon_vmas"] == {}


# ---------------------------------------------------------------- exit
def test_exit_leaves_nothing_behind(m, init):
    free, tables = m.vmstat["nr_free_pages"], m.vmstat["nr_page_table_pages"]
    child = m.spawn("child")
    mmap(child, 0, 600)
    mmap(child, 600, 4, "rw", "shared|anonymous")
    for page in range(604):
        child.write(BASE + page * m.page_size)
    child.exec()
    child.exit()
    assert (m.vmstat["nr_free_pages"], m.vmstat["nr_page_table_pages"]) == (free, tables)
    assert committed(m) == 0
    assert m.dump()["anon_vmas"] == {}


def test_exit_gives_the_swap_token_up(m, init):
    child = init.fork()
    m.lab.set_swap_token(child)
    child.exit()
    assert m.dump()["machine"]["swap_token"] == 0


# ---------------------------------------------------------------- exec
def test_exec_replaces_everything_with_a_stack(m, init):
    mmap(init, 0, 4)
    init.write(BASE)
    init.exec()
    (stack,) = init.maps()
    top = 1 << 42 if m.arch == "s390" else (1 << 47) - m.page_size
    assert stack.end == top
    # the page of the arguments, its guard page, and 128 KiB to begin with
    assert stack.end - stack.start == 2 * m.page_size + (128 << 10)
    assert stack.vm_flags & VmFlag.GROWSDOWN
    assert not stack.vm_flags & (VmFlag.SEQ_READ | VmFlag.RAND_READ)
    assert (state(init)["total_vm"], state(init)["stack_vm"]) == (len(stack) // m.page_size,) * 2
    assert state(init)["start_stack"] == top - 8
    assert init.rss == {"file": 0, "anon": 1, "swap": 0}


def test_maps_hides_the_guard_page_of_a_stack_and_names_it(m, init):
    init.exec()
    (stack,) = init.maps()
    assert str(stack) == f"{stack.vm_start + m.page_size:08x}-{stack.vm_end:08x} rw-p 00000000 00:00 0 [stack]"
    init.mprotect(stack.vm_start + 4 * m.page_size, m.page_size, "r")
    lower, middle, upper = init.maps()
    assert str(lower).startswith(f"{lower.vm_start + m.page_size:08x}-")
    assert [str(v).split("-")[0] for v in (middle, upper)] == [f"{v.vm_start:08x}" for v in (middle, upper)]
    assert [str(v).endswith("[stack]") for v in init.maps()] == [False, False, True]


def test_exec_keeps_the_pid_and_the_faults_so_far(m, init):
    mmap(init, 0, 4)
    init.write(BASE)
    pid, faults = init.pid, init.min_flt
    init.exec()
    assert init.pid == pid
    assert init.min_flt >= faults
    assert m.spawn().pid == pid + 1


def test_exec_gives_the_old_memory_back(m, init):
    mmap(init, 0, 600)
    for page in range(600):
        init.write(BASE + page * m.page_size)
    init.exec()
    assert m.vmstat["nr_anon_pages"] == 1
    assert committed(m) == state(init)["total_vm"]


def test_the_stack_of_exec_is_anonymous_memory_that_a_child_shares(m, init):
    init.exec()
    top = init.maps()[0].end
    init.write(top - 1, 3)
    child = init.fork()
    assert child.read(top - 1) == 3
    child.write(top - 1, 4)
    assert init.read(top - 1) == 3


def test_exec_drops_the_swap_token_of_the_old_memory(m, init):
    m.lab.set_swap_token(init)
    init.exec()
    assert m.dump()["machine"]["swap_token"] == 0


def test_exec_leaves_the_list_of_swapped_mms_if_nothing_is_swapped_any_more(arch):
    with Machine(arch, memory="2M", swap="8M") as m:
        init = m.spawn()
        area = init.mmap(1000 * m.page_size)
        for i in range(1000):
            init.write(area.start + i * m.page_size)
        assert m.lab.mmlist(init)
        init.exec()
        assert not m.lab.mmlist(init)
        assert init.rss["swap"] == 0
        m.check()


# ---------------------------------------------------------------- failing allocations
def family(m):
    """A process with something of everything, its parent and a child."""
    root = m.spawn("root")
    mmap(root, 0, 4)
    root.write(BASE)
    init = root.fork()
    mmap(init, 8, 2, "rw", "shared|anonymous")
    mmap(init, 16, 2, "rw", "private", file=m.file(2 * m.page_size))
    for page in (1, 2, 8, 16):
        init.write(BASE + page * m.page_size, page)
    init.fork()
    return init


@pytest.mark.parametrize("name", ["fork", "exec"])
def test_every_failing_allocation_comes_out_as_enomem_and_leaves_nothing(m, name):
    init = family(m)
    before = world(m)

    def unchanged():
        assert world(m) == before

    assert every_allocation(m, getattr(init, name), unchanged) > (10 if name == "fork" else 4)
    assert m.spawn().pid == (5 if name == "fork" else 4)
