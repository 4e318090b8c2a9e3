# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Timing for benchmarks: operations of the reverse map in a loop without Python in between, and the bare loops over the same
# memory that they are measured against. Kernel: none. Times are seconds of this thread's CPU.
from libc.stdint cimport int8_t, int64_t, uint32_t, uint64_t, uint8_t
import numpy as np

from rmapemu.machine.machine cimport Machine
from rmapemu.machine.page cimport pfn_of
from rmapemu.machine.vma cimport vma_arg
from rmapemu.mm.lock cimport lock_page, unlock_page
from rmapemu.mm.rmap_batch cimport page_referenced_batch
from rmapemu.mm.rmap_mkclean cimport page_mkclean
from rmapemu.mm.rmap_nonlinear cimport try_to_unmap_cluster
from rmapemu.mm.rmap_referenced cimport page_referenced
from rmapemu.mm.types cimport *

include "rmapemu/machine/floors.pxi"


cdef class Timing:
    """Loops over a machine's pages and VMAs. Costs and accessed bits change as by the same calls of ``m.rmap``."""
    cdef Machine machine
    cdef uint8_t* shadow        # as large as the machine's reservation: chase's links lie where its structures lie
    cdef uint64_t shadow_bytes

    def __init__(self, Machine machine not None):
        self.machine = machine

    def __dealloc__(self):
        if self.shadow != NULL:
            munmap(self.shadow, self.shadow_bytes)

    # ------------------------------------------------------------ page_referenced
    def referenced(self, const uint32_t[::1] pfn, int rounds=1):
        """page_referenced(page, 0) of each page in turn. Returns (seconds, references found)."""
        cdef machine* m = self.machine.m
        cdef uint64_t flags
        cdef int64_t found = 0
        cdef double t
        cdef int _round
        cdef Py_ssize_t i
        self.machine.usable()
        self.check(pfn)
        with nogil:
            t = now()
            for _round in range(rounds):
                for i in range(pfn.shape[0]):
                    found += page_referenced(m, pfn[i], 0, 0, &flags)
            t = now() - t
        return t, found

    def referenced_batches(self, const uint32_t[::1] pfn, int rounds=1):
        """The same by page_referenced_batch, SWAP_CLUSTER_MAX pages at a time, as reclaim does. Returns (seconds, references found)."""
        cdef machine* m = self.machine.m
        cdef int8_t referenced[SWAP_CLUSTER_MAX]
        cdef uint64_t flags, found = 0
        cdef double t
        cdef int _round, k, n, alone
        cdef Py_ssize_t i
        self.machine.usable()
        self.check(pfn)
        with nogil:
            t = now()
            for _round in range(rounds):
                i = 0
                while i < pfn.shape[0]:
                    n = <int>min(pfn.shape[0] - i, <Py_ssize_t>SWAP_CLUSTER_MAX)
                    page_referenced_batch(m, &pfn[i], n, 0, referenced)
                    alone = 0
                    for k in range(n):
                        alone += referenced[k] < 0
                        found += referenced[k]
                    for k in range(n if alone else 0):
                        if referenced[k] < 0:
                            found += 1 + page_referenced(m, pfn[i + k], 0, 0, &flags)
                    i += n
            t = now() - t
        return t, found

    def referenced_young(self, page, int rounds=1):
        """page_referenced of one anonymous page, its entries made young before each round (timed). Returns (seconds, references found)."""
        cdef uint32_t pfn = self.one(page)
        cdef machine* m = self.machine.m
        cdef uint64_t flags, young = m.hw.fmt.young
        cdef int64_t found = 0, i, n
        cdef double t
        cdef int _round
        cdef uint64_t[::1] entry = self.entries(pfn)
        self.machine.usable()
        n = entry.shape[0]
        with nogil:
            t = now()
            for _round in range(rounds):
                for i in range(n):
                    (<uint64_t*>entry[i])[0] |= young
                found += page_referenced(m, pfn, 0, 0, &flags)
            t = now() - t
        return t, found

    cdef object entries(self, uint32_t pfn):
        """uint64[mappings]: where the entries of an anonymous page are."""
        cdef machine* m = self.machine.m
        cdef anon_vma_chain* avc
        cdef vm_area_struct* vma
        self.check(np.array([pfn], np.uint32))
        out = []
        avc = page_anon_vma(m, &m.pages[pfn]).head
        while avc != NULL:
            vma = avc.vma
            out.append(<uint64_t>leaf_entry(m, vma.vm_mm, vma.vm_start + ((m.pages[pfn].index - vma.vm_pgoff) << m.page_shift)))
            avc = avc.next
        return np.array(out, np.uint64)

    cdef int check(self, const uint32_t[::1] pfn) except -1:
        """Anonymous pages whose every VMA has a leaf table there, and no lock that someone else holds: nothing below can then unwind."""
        cdef machine* m = self.machine.m
        cdef anon_vma_chain* avc
        cdef vm_area_struct* vma
        cdef anon_vma* av
        cdef Py_ssize_t i
        self.machine.usable()
        if m.nr_held_other or m.held_mask:
            raise ValueError("the machine: a lock is held")
        for i in range(pfn.shape[0]):
            av = page_anon_vma(m, &m.pages[pfn[i]]) if pfn[i] < m.nr_frames else NULL
            if av == NULL or av.head == NULL or m.pages[pfn[i]].mapcount < 1 or m.pages[pfn[i]].flags & (PG_head | PG_tail | PG_huge):
                raise ValueError(f"pfn={pfn[i]}: expected a mapped anonymous page")
            avc = av.head
            while avc != NULL:
                vma = avc.vma
                if vma.vm_flags & VM_HUGETLB or m.hw.ops.find_pte(
                        &m.hw, &vma.vm_mm.hw, vma.vm_start + ((m.pages[pfn[i]].index - vma.vm_pgoff) << m.page_shift)) == NULL:
                    raise ValueError(f"pfn={pfn[i]}: one of its VMAs has no table there")
                avc = avc.next
        return 0

    cdef uint32_t one(self, object page) except 0:
        self.machine.usable()
        self.check(np.array([pfn_of(self.machine, page, True)], np.uint32))
        return pfn_of(self.machine, page, True)

    def chase(self, page, int rounds=1):
        """The floor of a walk over one anonymous page: one dependent load per structure that it touches for each VMA (chain entry, VMA,
        mm, an entry of each table level), laid out as the machine's are. Returns (seconds, VMAs).
        """
        cdef uint32_t pfn = self.one(page)
        cdef machine* m = self.machine.m
        cdef void** first
        cdef void** p
        cdef uint64_t vmas = 0
        cdef double t
        cdef int _round
        if self.shadow == NULL:
            self.shadow = shadow_of(m)
            if self.shadow == NULL:
                raise MemoryError("no address space for the shadow")
            self.shadow_bytes = m.arena_bytes
        first = link_chase(m, self.shadow, pfn, &vmas)
        with nogil:
            p = first
            t = now()
            for _round in range(rounds):
                p = <void**>p[0]
                while p != first:
                    p = <void**>p[0]
            t = now() - t
        return t, vmas

    # ------------------------------------------------------------ a pass over many pages
    def struct_and_entry(self, const uint32_t[::1] pfn, int rounds=1):
        """The floor of page_referenced over many singly mapped pages: reads each one's struct page and its entry. Returns
        (seconds, sum of mapcounts and entries).
        """
        cdef machine* m = self.machine.m
        cdef uint64_t total = 0
        cdef double t
        cdef int _round
        cdef Py_ssize_t i
        cdef vm_area_struct* vma
        self.check(pfn)
        cdef uint64_t[::1] entry = np.empty(pfn.shape[0], np.uint64)
        for i in range(pfn.shape[0]):
            vma = page_anon_vma(m, &m.pages[pfn[i]]).head.vma
            entry[i] = <uint64_t>leaf_entry(m, vma.vm_mm, vma.vm_start + ((m.pages[pfn[i]].index - vma.vm_pgoff) << m.page_shift))
        with nogil:
            t = now()
            for _round in range(rounds):
                for i in range(pfn.shape[0]):
                    total += m.pages[pfn[i]].mapcount + (<uint64_t*>entry[i])[0]
            t = now() - t
        return t, total

    # ------------------------------------------------------------ anon_vma_fork
    def fork_chain(self, vma, int children):
        """anon_vma_fork from one VMA to as many new ones; they are unlinked again, which is not timed. Returns (seconds, chain entries)."""
        cdef machine* m = self.machine.m
        cdef vm_area_struct* parent = vma_arg(self.machine, vma)
        cdef double t = 0
        cdef int64_t entries = 0
        self.machine.usable()
        if parent.anon_vma == NULL:
            raise ValueError("vma: it has no anon_vma")
        with nogil:
            t = time_forks(m, parent, children, &entries)
        if t < 0:
            raise MemoryError("no memory for the VMAs")
        return t, entries

    @staticmethod
    def list_nodes(int nodes, int rounds):
        """The floor of anon_vma_fork: takes nodes off a free list and links each into two lists. Returns seconds."""
        cdef uint64_t[::1] room = np.zeros((nodes + 1) * rounds * (sizeof(node_t) // 8), np.uint64)
        cdef double t
        with nogil:
            t = time_nodes(<node_t*>&room[0], nodes, rounds)
        return t

    # ------------------------------------------------------------ page_mkclean
    def mkclean(self, const uint32_t[::1] pfn):
        """page_mkclean of each file page in turn, the page locked around it. Returns (seconds, entries cleaned)."""
        cdef machine* m = self.machine.m
        cdef double t
        cdef int64_t cleaned = 0
        cdef Py_ssize_t i
        self.machine.usable()
        if m.nr_held_other or m.held_mask:
            raise ValueError("the machine: a lock is held")
        for i in range(pfn.shape[0]):
            if pfn[i] >= m.nr_frames or page_file_mapping(m, &m.pages[pfn[i]]) == NULL or m.pages[pfn[i]].flags & PG_locked:
                raise ValueError(f"pfn={pfn[i]}: expected an unlocked page of a file")
        with nogil:
            t = now()
            for i in range(pfn.shape[0]):
                lock_page(m, pfn[i])
                cleaned += page_mkclean(m, pfn[i])
                unlock_page(m, pfn[i])
            t = now() - t
        return t, cleaned

    # ------------------------------------------------------------ the cluster scan
    def clusters(self, vma, int rounds=1):
        """try_to_unmap_cluster over every cluster of a VMA in which nothing is present. Returns (seconds, clusters)."""
        cdef machine* m = self.machine.m
        cdef vm_area_struct* v = vma_arg(self.machine, vma)
        cdef uint64_t cursor, size = <uint64_t>CLUSTER << m.page_shift, n = 0
        cdef uint32_t mapcount = 1
        cdef double t
        cdef int _round
        self.machine.usable()
        with nogil:
            t = now()
            for _round in range(rounds):
                cursor = 0
                while cursor < v.vm_end - v.vm_start:
                    try_to_unmap_cluster(m, cursor, &mapcount, v, 0)
                    cursor += size
                    n += 1
            t = now() - t
        return t, n

    def bare_clusters(self, vma, int rounds=1):
        """The floor of the cluster scan: per cluster a walk through every table level, one trylock, and a test of each entry."""
        cdef machine* m = self.machine.m
        cdef vm_area_struct* v = vma_arg(self.machine, vma)
        cdef uint64_t n = 0
        cdef double t
        cdef int _round
        with nogil:
            t = now()
            for _round in range(rounds):
                n += bare_scan(m, v)
            t = now() - t
        return t, n
