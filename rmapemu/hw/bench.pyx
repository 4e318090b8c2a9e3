# SPDX-License-Identifier: GPL-2.0-only
# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# Models: an MMU on a bench: memory, address spaces and nothing else, so that hw/ is tested and timed without mm/.
# Kernel equivalent: none. Table frames come first fit; frames that are mapped need not exist.
# Differs: no accounting of its own; a fault stops the access, or maps the page if `demand` says so.
from libc.stdint cimport uint64_t, uint32_t, uint16_t, uint8_t, int64_t
from libc.stdlib cimport calloc, free
import numpy as np
from rmapemu.hw.costs cimport settled
from rmapemu.hw.ops cimport Backend, hw_t, hw_ops, addr_space, leaf_cache
from rmapemu.hw.pte cimport mk_pte

include "rmapemu/hw/bench_memory.pxi"

KINDS = {"r": 0, "w": 1, "x": 2}


cdef class Mmu:
    """`spaces` empty address spaces of a backend over `frames` frames of zeroed memory; `exact` is hw_t.key_exact.

    Methods take the address space's number as ``space``; addresses are byte addresses, entries are ints.
    """

    cdef bench_t b
    cdef addr_space* s
    cdef readonly int spaces
    cdef readonly Backend backend
    cdef leaf_cache cache       # of an imagined VMA: used where `cached` is asked for

    def __cinit__(self, Backend backend not None, uint64_t frames=4096, bint exact=True, int spaces=1):
        cdef hw_t* h = &self.b.hw
        self.backend = backend
        self.b.frames = frames
        self.b.used = <uint8_t*>calloc(frames, 1)
        h.base = <uint8_t*>calloc(frames, <uint64_t>1 << backend.format_.page_shift)
        h.skey = <uint8_t*>calloc(max(frames, <uint64_t>KEYS), 1)
        self.s = <addr_space*>calloc(spaces, sizeof(addr_space))
        if h.base == NULL or self.b.used == NULL or h.skey == NULL or self.s == NULL:
            raise MemoryError(f"{frames} frames")
        h.fmt = &backend.format_
        h.ops = &backend.ops
        h.key_exact = exact
        h.ctx = &self.b
        h.alloc_table = bench_alloc
        h.free_table = bench_free
        h.alloc_host = bench_alloc_host
        h.free_host = bench_free_host
        self.b.budget = -1
        self.b.demand = -1
        self.cache.key = ~<uint64_t>0
        for i in range(spaces):
            if h.ops.init_mm(h, &self.s[<int>i]) != 0:
                raise MemoryError("no frame for a top table")
            self.spaces += 1

    def __dealloc__(self):
        cdef int i
        for i in range(self.spaces):
            self.b.hw.ops.exit_mm(&self.b.hw, &self.s[i])
        free(self.s)
        free(self.b.used)
        free(self.b.hw.base)
        free(self.b.hw.skey)

    cdef addr_space* at(self, int space) except NULL:
        if not 0 <= space < self.spaces:
            raise IndexError(f"address space {space} of {self.spaces}")
        return &self.s[space]

    # --- state
    @property
    def memory(self):
        """Physical memory: uint64, frames * page / 8, writable."""
        cdef uint64_t n = self.b.frames << self.backend.format_.page_shift
        view = <uint8_t[:n]>self.b.hw.base
        array = np.frombuffer(view, np.uint64)
        return array

    @property
    def keys(self):
        """Storage keys: uint8, writable; of at least KEYS frames, for frames that are mapped but not there."""
        cdef uint64_t n = max(self.b.frames, <uint64_t>KEYS)
        view = <uint8_t[:n]>self.b.hw.skey
        return np.frombuffer(view, np.uint8)

    @property
    def cost(self):
        """Counters as a dict."""
        cost = settled(&self.b.hw.cost)
        return {name: n for name, n in cost.items() if not name.startswith("plain_")}

    @property
    def table_frames(self):
        """Frames that hold tables."""
        return self.b.tables

    @property
    def host_bytes(self):
        """Host memory that the address spaces' caches take."""
        return self.b.host_bytes

    @property
    def faults(self):
        """(count, last address, last kind) of faults."""
        return self.b.faults, self.b.fault_va, self.b.fault_kind

    def root(self, int space=0):
        """Physical address of the top table."""
        return self.at(space).root

    def levels(self, int space=0):
        """Levels of the address space now."""
        return self.at(space).levels

    def nr_ptes(self, int space=0):
        """Leaf tables."""
        return self.at(space).nr_ptes

    def limit_tables(self, int64_t n):
        """Let only `n` more table allocations succeed; negative: any number."""
        self.b.budget = n

    def demand(self, int prot, uint32_t first_pfn=1):
        """From now on faults map fresh frames from `first_pfn` with protection number `prot`; negative: they refuse."""
        self.b.demand = prot
        self.b.next_pfn = first_pfn

    def grow(self, uint64_t end, int space=0):
        """grow_mm: 0 or -errno."""
        return self.b.hw.ops.grow_mm(&self.b.hw, self.at(space), end)

    def reset_space(self, int space=0):
        """exit_mm and init_mm: 0 or -errno. Tables below the top must be gone."""
        self.b.hw.ops.exit_mm(&self.b.hw, self.at(space))
        return self.b.hw.ops.init_mm(&self.b.hw, self.at(space))

    # --- entries
    def set(self, uint64_t va, uint64_t e, int space=0):
        """make_pte and set_pte; MemoryError where there is no table to be had."""
        cdef uint64_t* p = self.b.hw.ops.make_pte(&self.b.hw, self.at(space), va)
        if p == NULL:
            raise MemoryError(f"no page table for {va:#x}")
        self.b.hw.ops.set_pte(&self.b.hw, self.at(space), va, p, e)

    def map(self, uint64_t va, uint32_t pfn, int prot, bint write=False, int space=0):
        """Map a frame with protection number `prot`, writable at once if `write`. Returns the entry."""
        cdef uint64_t e = mk_pte(self.b.hw.fmt, pfn, self.b.hw.fmt.prot[prot & 15])
        if write:
            e = (e & ~self.b.hw.fmt.write_clear) | self.b.hw.fmt.write_set
        self.set(va, e, space)
        return e

    def set_huge(self, uint64_t va, uint64_t e, int space=0):
        """Make the level-1 entry a huge leaf from a leaf entry's bits; returns what was written."""
        cdef uint64_t* p = self.b.hw.ops.make_pmd(&self.b.hw, self.at(space), va)
        if p == NULL:
            raise MemoryError(f"no table for {va:#x}")
        e = self.b.hw.ops.make_huge(&self.b.hw, e)
        self.b.hw.ops.set_pmd(&self.b.hw, self.at(space), va, p, e)
        return e

    def get(self, uint64_t va, int space=0):
        """The leaf entry, or None without a leaf table."""
        cdef uint64_t* p = self.b.hw.ops.find_pte(&self.b.hw, self.at(space), va)
        return None if p == NULL else p[0]

    def get_pmd(self, uint64_t va, int space=0):
        """The level-1 entry, or None without its table."""
        cdef uint64_t* p = self.b.hw.ops.find_pmd(&self.b.hw, self.at(space), va)
        return None if p == NULL else p[0]

    def check_address(self, uint64_t va, uint32_t pfn, bint cached=False, int space=0):
        """(entry or None, SEEN_*)"""
        cdef int seen = -1
        cdef uint64_t* p = self.b.hw.ops.check_address(
            &self.b.hw, self.at(space), va, pfn, &self.cache if cached else NULL, &seen)
        return None if p == NULL else p[0], seen

    def referenced(self, uint64_t va, uint32_t pfn, bint cached=False, int space=0):
        """The old young bit, -1 not present, -2 another frame."""
        return self.b.hw.ops.referenced(&self.b.hw, self.at(space), va, pfn, &self.cache if cached else NULL)

    def clear_flush(self, uint64_t va, int space=0):
        """The old entry, or None without a leaf table."""
        cdef uint64_t* p = self.b.hw.ops.find_pte(&self.b.hw, self.at(space), va)
        return None if p == NULL else self.b.hw.ops.clear_flush(&self.b.hw, self.at(space), va, p)

    def clear_flush_young(self, uint64_t va, int space=0):
        """The old young bit, or None without a leaf table."""
        cdef uint64_t* p = self.b.hw.ops.find_pte(&self.b.hw, self.at(space), va)
        return None if p == NULL else self.b.hw.ops.clear_flush_young(&self.b.hw, self.at(space), va, p)

    # --- runs: a list of (pages after va, old entry), or an -errno
    def run(self, str what, uint64_t va, uint64_t end, int space=0, int to=0, bint cow=False, bint shared=False,
            uint64_t prot=0):
        """`what` is scan, clear, copy (into space `to`) or protect (which returns a count)."""
        cdef uint64_t old[2048]
        cdef uint16_t at[2048]
        cdef int n = 0, i
        cdef const hw_ops* o = self.b.hw.ops
        cdef hw_t* h = &self.b.hw
        cdef uint64_t* made
        if what == "protect":
            return o.protect_run(h, self.at(space), va, end, prot)
        if what == "scan":
            n = o.scan_run(h, self.at(space), va, end, old, at)
        elif what == "clear":
            n = o.clear_run(h, self.at(space), va, end, old, at)
        elif o.find_pte(h, self.at(space), va) != NULL:
            made = o.make_pte(h, self.at(to), va)
            n = -ENOMEM if made == NULL else o.copy_run(h, made, self.at(space), va, end, cow, shared, old, at)
        return n if n < 0 else [(at[i], old[i]) for i in range(n)]

    def free_range(self, uint64_t va, uint64_t end, uint64_t floor=0, uint64_t ceiling=0, int space=0):
        """free_pgd_range"""
        self.b.hw.ops.free_pgd_range(&self.b.hw, self.at(space), va, end, floor, ceiling)

    # --- flushes
    def flush_page(self, uint64_t va, int space=0):
        """flush_tlb_page"""
        self.b.hw.ops.flush_tlb_page(&self.b.hw, self.at(space), va)

    def flush_range(self, uint64_t va, uint64_t end, int space=0):
        """flush_tlb_range"""
        self.b.hw.ops.flush_tlb_range(&self.b.hw, self.at(space), va, end)

    def flush_mm(self, int space=0):
        """flush_tlb_mm"""
        self.b.hw.ops.flush_tlb_mm(&self.b.hw, self.at(space))

    # --- frames
    def test_and_clear_young(self, uint32_t pfn):
        """page_test_and_clear_young"""
        return self.b.hw.ops.page_test_and_clear_young(&self.b.hw, pfn)

    def test_and_clear_dirty(self, uint32_t pfn):
        """page_test_and_clear_dirty"""
        return self.b.hw.ops.page_test_and_clear_dirty(&self.b.hw, pfn, 1)

    def set_uptodate(self, uint32_t pfn):
        """SetPageUptodate's key"""
        self.b.hw.ops.page_set_uptodate(&self.b.hw, pfn)

    def kernel_access(self, uint32_t pfn, str kind="r"):
        """The kernel reads or writes the frame."""
        self.b.hw.ops.kernel_access(&self.b.hw, pfn, KINDS[kind])

    # --- the CPU
    def access(self, va, kind="r", int space=0, str how="plain"):
        """Access addresses (int or uint64 array) by one kind or an array of kinds; -> how many completed, and the errno.

        `how` is plain, ahead or traced; traced also returns the frames told, as uint32.
        """
        cdef uint64_t[::1] a = np.atleast_1d(np.ascontiguousarray(va, np.uint64))
        cdef uint8_t[::1] ks
        cdef const uint8_t* k = NULL
        cdef int kind0 = 0, err = 0
        cdef int64_t done = 0, n = a.shape[0]
        cdef addr_space* s = self.at(space)
        cdef uint32_t[::1] told
        if isinstance(kind, str):
            kind0 = KINDS[kind]
        else:
            ks = np.ascontiguousarray(kind, np.uint8)
            if ks.shape[0] != n:
                raise ValueError(f"{ks.shape[0]} kinds for {n} addresses")
            if n:
                k = &ks[0]
        if n == 0:
            return 0, 0
        if how == "traced":
            told = np.zeros(n, np.uint32)
            self.b.touched = &told[0]
            self.b.touched_n = 0
            self.b.touched_max = n
            done = self.b.hw.ops.access_traced(&self.b.hw, s, &a[0], k, kind0, n, bench_fault, &self.b, &err, bench_touched)
            return done, -err, np.asarray(told)[:self.b.touched_n]
        with nogil:
            if how == "ahead":
                done = self.b.hw.ops.access_ahead(&self.b.hw, s, &a[0], k, kind0, n, bench_fault, &self.b, &err, self.b.used)
            else:
                done = self.b.hw.ops.access(&self.b.hw, s, &a[0], k, kind0, n, bench_fault, &self.b, &err)
        return done, -err

    def walk_many(self, va, bint cached=True, int rounds=1, int space=0):
        """For timing: `referenced` of every address, `rounds` times, for the frame 1 + its page number; -> how many matched."""
        cdef uint64_t[::1] a = np.ascontiguousarray(va, np.uint64)
        cdef int64_t i, n = a.shape[0], found = 0
        cdef int _r, shift = self.backend.format_.page_shift
        cdef hw_t* h = &self.b.hw
        cdef addr_space* s = self.at(space)
        cdef referenced_t referenced = h.ops.referenced
        cdef leaf_cache* c = &self.cache if cached else NULL
        with nogil:
            for _r in range(rounds):
                for i in range(n):
                    found += referenced(h, s, a[i], 1 + <uint32_t>(a[i] >> shift), c) >= 0
        return found
