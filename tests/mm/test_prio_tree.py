# SPDX-License-Identifier: GPL-2.0-only
"""The VMAs of a file by page offset, against a naive list. Kernel: mm/prio_tree.c (vma_prio_tree_insert, _remove, _foreach)."""

import hypothesis.strategies as st
from hypothesis import given

from rmapemu import Machine
from rmapemu.machine.enums import VmFlag

FILE_PAGES = 24
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(0, FILE_PAGES), st.integers(1, FILE_PAGES)),
        st.tuples(st.just("remove"), st.integers(0, 99), st.just(0)),
        st.tuples(st.just("move"), st.integers(0, 99), st.integers(0, FILE_PAGES)),
    ),
    max_size=40,
)


class Mapped:
    """A file of FILE_PAGES pages, all cached, and the VMAs that a naive list says it has: [vma, pgoff, npages], by insertion."""

    def __init__(self):
        self.m = Machine(memory="4M")
        self.file = self.m.file(FILE_PAGES * self.m.page_size)
        self.file.write(0, FILE_PAGES * self.m.page_size, 1)
        self.mm = self.m.lab.mm()
        self.vmas = []
        self.next = 0x1000 * self.m.page_size

    def room(self, npages):
        start, self.next = self.next, self.next + (npages + 1) * self.m.page_size
        return start

    def insert(self, pgoff, npages):
        vma = self.m.lab.vma(self.mm, self.room(npages), npages, VmFlag.READ | VmFlag.SHARED, pgoff, self.file)
        self.vmas.append([vma, pgoff, npages])

    def remove(self, which, _):
        if self.vmas:
            self.m.lab.vma_remove(self.vmas.pop(which % len(self.vmas))[0])

    def move(self, which, pgoff):
        """A new place in the tree: behind the VMAs that begin at the same page."""
        if self.vmas:
            vma, _, npages = self.vmas.pop(which % len(self.vmas))
            self.vmas.append([self.m.lab.vma_bounds(vma, self.room(npages), npages, pgoff), pgoff, npages])

    def wanted(self, index):
        """sorted() is stable: among equal offsets the order of insertion stays."""
        covering = [entry for entry in self.vmas if entry[1] <= index < entry[1] + entry[2]]
        return [entry[0].serial for entry in sorted(covering, key=lambda entry: entry[1])]

    def found(self, index):
        page, seen = self.file.page(index), []
        self.m.lab.lock_page(page)
        self.m.rmap.rmap_walk(page, lambda page, vma, address: seen.append(vma.serial))
        self.m.lab.unlock_page(page)
        return seen


@given(STEPS)
def test_a_walk_visits_the_vmas_of_an_offset_by_start_and_then_insertion(steps):
    mapped = Mapped()
    for what, x, y in steps:
        getattr(mapped, what)(x, y)
    for index in range(FILE_PAGES):
        assert mapped.found(index) == mapped.wanted(index)
    mapped.m.close()


def test_only_what_covers_the_offset_is_visited():
    mapped = Mapped()
    for pgoff in range(FILE_PAGES):
        mapped.insert(pgoff, 1)
    with mapped.m.measure() as cost:
        assert len(mapped.found(11)) == 1
    assert cost.vmas_visited == 1


def test_a_forked_vma_comes_behind_its_parents():
    with Machine(memory="4M") as m:
        file, init = m.file(4 * m.page_size), m.spawn("init")
        area = init.mmap(4 * m.page_size, "rw", "shared", file=file)
        second = init.mmap(2 * m.page_size, "rw", "shared", file=file)
        child = init.fork()
        init.write(area.start)
        page, seen = file.page(0), []
        m.lab.lock_page(page)
        m.rmap.rmap_walk(page, lambda page, vma, address: seen.append((vma.pid, vma.vm_start)))
        m.lab.unlock_page(page)
        assert seen == [(init.pid, area.start), (init.pid, second.start), (child.pid, second.start), (child.pid, area.start)]
        m.check()


def test_nonlinear_vmas_are_a_list_in_order_of_insertion_and_a_forked_one_stands_behind_its_parent():
    with Machine(memory="4M") as m:
        file, init = m.file(4 * m.page_size, "shmem"), m.lab.mm()
        flags = VmFlag.READ | VmFlag.WRITE | VmFlag.SHARED | VmFlag.NONLINEAR
        first = m.lab.vma(init, 0x10 * m.page_size, 4, flags, 0, file)
        second = m.lab.vma(init, 0x20 * m.page_size, 4, flags, 0, file)
        child = init.fork()
        order = m.dump()["files"][file.ino]["i_mmap_nonlinear"]
        copies = [v.serial for v in child.maps()]
        assert order == [first.serial, copies[0], second.serial, copies[1]]
