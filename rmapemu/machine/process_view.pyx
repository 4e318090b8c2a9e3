# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# ProcessView: what there is to see of a process. Kernel: fs/proc/task_mmu.c (status, maps, smaps), fs/proc/array.c.
# Differs: one process per mm, no threads.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.hw.pte cimport pte_present, pte_pfn
from rmapemu.machine.machine cimport Machine
from rmapemu.machine.page cimport page_handle
from rmapemu.machine.pte cimport decode_pte
from rmapemu.machine.tables cimport peek_pte
from rmapemu.machine.vma cimport vma_at, vma_handle
from rmapemu.mm.types cimport *

from rmapemu.machine.sizes import parse_int


cdef mm_struct* mm_arg(Machine machine, object handle) except NULL:
    if not isinstance(handle, ProcessView):
        raise TypeError(f"expected a Process, not {type(handle).__name__}")
    if (<ProcessView>handle).machine is not machine:
        raise ValueError(f"{handle!r} is a process of another machine")
    return (<ProcessView>handle).mm()


cdef uint64_t address_arg(object value) except? 0xffffffffffffffff:
    number = parse_int(value, "address")
    if not 0 <= number < 1 << 64:
        raise ValueError(f"address={value!r}: expected 0 to 2**64 - 1")
    return number


cdef object process_handle(Machine machine, uint32_t pid):
    from rmapemu.machine.process import Process     # which builds on this module

    return Process(machine, pid)


cdef class ProcessView:
    """What there is to see of a Process; see Process."""

    def __init__(self, Machine machine not None, uint32_t pid):
        self.machine = machine
        self.pid = pid

    cdef mm_struct* mm(self) except NULL:
        return self.machine.mm_of(self.pid)

    cdef uint64_t* _entry(self, uint64_t va) except? NULL:
        cdef mm_struct* mm = self.mm()
        return peek_pte(self.machine.m, mm, va)

    def page_at(self, address):
        """The Page that is mapped at the address, or None."""
        cdef uint64_t* pte = self._entry(address_arg(address))
        cdef machine* m = self.machine.m
        if pte == NULL or not pte_present(m.hw.fmt, pte[0]) or pte_pfn(m.hw.fmt, pte[0]) >= m.nr_frames:
            return None
        return page_handle(self.machine, pte_pfn(m.hw.fmt, pte[0]))

    def pte_at(self, address):
        """The entry at the address, decoded, as a Pte; None where there is no page table."""
        cdef uint64_t* pte = self._entry(address_arg(address))
        return None if pte == NULL else decode_pte(self.machine.m.hw.fmt, pte[0])

    def vma_at(self, address):
        """The Vma that has the address, or None."""
        cdef vm_area_struct* v = vma_at(self.mm(), address_arg(address))
        return None if v == NULL else vma_handle(self.machine, v)

    def maps(self):
        """The VMAs by address; ``str()`` of one is its line of /proc/PID/maps."""
        cdef mm_struct* mm = self.mm()
        cdef uint32_t i
        return [vma_handle(self.machine, mm.vmas[i]) for i in range(mm.map_count)]

    def smaps(self):
        """A dict per VMA, by address: ``start``, ``end`` and what /proc/PID/smaps says, in kB."""
        return [{"start": v.start, "end": v.end} | v.smaps() for v in self.maps()]

    @property
    def status(self):
        """dict: the memory lines of /proc/PID/status, in kB, in its order. No code is loaded, so all that is executable is VmLib."""
        cdef mm_struct* mm = self.mm()
        cdef machine* m = self.machine.m
        cdef uint64_t rss = <uint64_t>(mm.rss_stat[MM_FILEPAGES] + mm.rss_stat[MM_ANONPAGES])
        pages = {
            "VmPeak": max(mm.hiwater_vm, mm.total_vm), "VmSize": mm.total_vm, "VmLck": mm.locked_vm, "VmPin": 0,
            "VmHWM": max(mm.hiwater_rss, rss), "VmRSS": rss, "VmData": mm.total_vm - mm.shared_vm - mm.stack_vm,
            "VmStk": mm.stack_vm, "VmExe": 0, "VmLib": mm.exec_vm, "VmPTE": 0, "VmSwap": mm.rss_stat[MM_SWAPENTS],
        }
        kb = {name: n << (m.page_shift - 10) for name, n in pages.items()}
        return kb | {"VmPTE": mm.hw.nr_ptes * m.hw.fmt.level[0].table_bytes >> 10}

    @property
    def rss(self):
        """dict: resident pages by kind, and entries in swap."""
        cdef mm_struct* mm = self.mm()
        return {"file": mm.rss_stat[MM_FILEPAGES], "anon": mm.rss_stat[MM_ANONPAGES], "swap": mm.rss_stat[MM_SWAPENTS]}

    @property
    def hiwater_rss(self):
        """Pages, as v3.2 last recorded them (the high-water mark proper is the larger of this and the present rss)."""
        return self.mm().hiwater_rss

    @property
    def maj_flt(self):
        """Faults that needed I/O."""
        return self.mm().maj_flt

    @property
    def min_flt(self):
        """Faults that needed none."""
        return self.mm().min_flt

    @property
    def root(self):
        """Physical address of the top page table (x86-64: CR3; s390: the ASCE's origin)."""
        return self.mm().hw.root

    @property
    def levels(self):
        """Levels of the page tables now."""
        return self.mm().hw.levels

    @property
    def nr_ptes(self):
        """Leaf page tables."""
        return self.mm().hw.nr_ptes

    @property
    def name(self):
        """What it was called when it was made."""
        self.mm()
        return self.machine.tasks[self.pid][1]

    @property
    def parent(self):
        """The Process that forked it, or None (also where that has exited)."""
        self.mm()
        pid = self.machine.tasks[self.pid][2]
        return process_handle(self.machine, pid) if pid in self.machine.tasks else None

    @property
    def children(self):
        """The live Processes that it forked, by pid."""
        self.mm()
        return [process_handle(self.machine, pid) for pid, task in sorted(self.machine.tasks.items()) if task[2] == self.pid]

    @property
    def alive(self):
        """False after exit."""
        return self.machine.m != NULL and self.pid in self.machine.tasks

    def __eq__(self, other):
        return isinstance(other, ProcessView) and (<ProcessView>other).machine is self.machine and (<ProcessView>other).pid == self.pid

    def __hash__(self):
        return hash((id(self.machine), self.pid))

    def __repr__(self):
        if not self.alive:
            return f"<Process {self.pid}, gone>"
        return f"<Process {self.pid} {self.name!r}, {self.status['VmRSS']} kB resident>"
