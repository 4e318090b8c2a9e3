# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The replay loop: accesses in, chunk by chunk and without the GIL, through the hardware's access operations.
# Kernel: none; faults go to do_page_fault. What a fault found (no page there, or a page that it only has to upgrade) is counted here.
# Between chunks: samples for the time series, Ctrl-C, and the choice between the plain and the prefetching operation.
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint64_t, uint32_t, uint8_t, int64_t
from libc.stdlib cimport calloc, free
import numpy as np

from rmapemu.hw.costs cimport costs_t, settled
from rmapemu.hw.ops cimport ACCESS_EXEC, addr_space, hw_ops
from rmapemu.hw.pte cimport pte_present
from rmapemu.machine.machine cimport Machine
from rmapemu.mm.lock cimport rm_setjmp
from rmapemu.mm.memory cimport do_page_fault
from rmapemu.mm.policy cimport opt_set_next
from rmapemu.mm.types cimport *

cdef extern from "time.h" nogil:
    cdef struct timespec:
        long tv_sec, tv_nsec
    int clock_gettime(int, timespec*)

cdef enum:
    CLOCK_MONOTONIC_ID = 1
    CHUNK = 4096                # accesses handed to the hardware at once
    AHEAD_ONE_IN = 16           # more misses than one access in so many: fetch ahead (zipf 71.8 -> 59.7 ns an access, sort unchanged)
    SIGNALS_EVERY = 1 << 18     # accesses between two looks at Ctrl-C
    BROKEN = 1                  # `err` of a run that a KernelBug ended

SERIES = (
    "accesses", "faults", "write_upgrades", "tlb_misses", "pgfault", "pgmajfault", "pgscan", "pgsteal", "pgactivate", "pgdeactivate",
    "pswpin", "pswpout", "rmap_walks", "vmas_visited",
    "nr_free_pages", "nr_inactive_anon", "nr_active_anon", "nr_inactive_file", "nr_active_file", "nr_unevictable", "rss",
)
"""Columns of a sample; the first SERIES_COUNTERS of them count events since the sample before, the others are sizes in pages."""
SERIES_COUNTERS = 14

cdef enum:
    SAMPLE_FIELDS = 21

cdef struct loop_t:
    machine* m
    uint64_t faults             # touches of pages that no present entry mapped
    uint64_t write_upgrades     # stores to pages that a present entry mapped read-only
    uint64_t done               # accesses completed
    mm_struct** mm              # the processes, in the order of their numbers
    uint32_t nr_mms
    bint ahead                  # the last chunk missed often
    int err                     # why a run stopped: 0, -errno or FAULT_*, BROKEN
    uint32_t who                # whose access that was
    double seconds


cdef int replay_fault(void* ctx, addr_space* s, uint64_t va, int kind, uint64_t* pte) noexcept nogil:
    cdef loop_t* loop = <loop_t*>ctx
    if pte != NULL and pte_present(loop.m.hw.fmt, pte[0]):
        loop.write_upgrades += 1
    else:
        loop.faults += 1
    return do_page_fault(loop.m, s, va, kind, pte)


cdef void replay_touched(void* ctx, const uint32_t* pfn, int64_t n) noexcept nogil:
    cdef machine* m = (<loop_t*>ctx).m
    m.policy.touched(m, m.policy.state, pfn, n)


cdef int64_t one_chunk(loop_t* l, addr_space* s, const uint64_t* va, const uint8_t* kind, int64_t n) noexcept nogil:
    """Accesses of one process, at most CHUNK: how many completed; l.err is set where that is less than n."""
    cdef machine* m = l.m
    cdef const hw_ops* ops = m.hw.ops
    cdef uint64_t misses = m.hw.cost.tlb_misses
    cdef int64_t got
    if m.policy != NULL and m.policy.touched != NULL:
        return ops.access_traced(&m.hw, s, va, kind, 0, n, replay_fault, l, &l.err, replay_touched)
    if l.ahead and m.nr_swapfiles:
        got = ops.access_ahead(&m.hw, s, va, kind, 0, n, replay_fault, l, &l.err, m.swap_info[0].swap_map)
    else:
        got = ops.access(&m.hw, s, va, kind, 0, n, replay_fault, l, &l.err)
    l.ahead = (m.hw.cost.tlb_misses - misses) * AHEAD_ONE_IN > <uint64_t>n
    return got


cdef void run(loop_t* l, const uint64_t* va, const uint8_t* kind, const uint32_t* who, int64_t n) noexcept nogil:
    """All n accesses, unless l.err says why not; `who` numbers the process of each, NULL: all of the first."""
    cdef int64_t i = 0, k, got
    cdef uint32_t w = 0
    l.err = 0
    while i < n and l.err == 0:
        k = min(n - i, CHUNK)
        if who != NULL:
            w = who[i]
            got = 1
            while got < k and who[i + got] == w:
                got += 1
            k = got
        l.who = w
        got = one_chunk(l, &l.mm[w].hw, va + i, kind + i, k)
        l.done += got
        i += got


cdef void run_trapped(loop_t* l, const uint64_t* va, const uint8_t* kind, const uint32_t* who, int64_t n) noexcept nogil:
    """run(), where BUG_ON unwinds to. Nothing that this function keeps in a local changes after the trap is set."""
    if rm_setjmp(l.m.trap):
        l.err = BROKEN
    else:
        l.m.trap_set = 1
        run(l, va, kind, who, n)
    l.m.trap_set = 0


cdef double seconds_now() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC_ID, &t)
    return t.tv_sec + t.tv_nsec * 1e-9


cdef inline uint64_t rss_of(const mm_struct* mm) noexcept nogil:
    return mm.rss_stat[MM_FILEPAGES] + mm.rss_stat[MM_ANONPAGES]


cdef void sample(const loop_t* l, uint64_t* out) noexcept nogil:
    cdef const machine* m = l.m
    cdef const uint64_t* e = <const uint64_t*>m.vm_events
    cdef costs_t cost = settled(&m.hw.cost)
    cdef uint64_t rss = 0
    cdef uint32_t i
    out[0] = l.done
    out[1] = l.faults
    out[2] = l.write_upgrades
    out[3] = m.hw.cost.tlb_misses
    out[4] = e[PGFAULT]
    out[5] = e[PGMAJFAULT]
    out[6] = e[PGSCAN_KSWAPD_NORMAL] + e[PGSCAN_DIRECT_NORMAL]
    out[7] = e[PGSTEAL_NORMAL]
    out[8] = e[PGACTIVATE]
    out[9] = e[PGDEACTIVATE]
    out[10] = e[PSWPIN]
    out[11] = e[PSWPOUT]
    out[12] = cost.rmap_walks
    out[13] = cost.vmas_visited
    out[14] = m.zones[0].vm_stat[NR_FREE_PAGES]
    for i in range(<uint32_t>NR_LRU_LISTS):
        out[15 + i] = m.zones[0].vm_stat[NR_LRU_BASE + i]
    for i in range(l.nr_mms):
        rss += rss_of(l.mm[i])
    out[20] = rss


cdef class Loop:
    """Drives processes of one machine through a trace; `feed` it batches, then read the counters.

    pids: of live processes of the machine, which only this loop uses meanwhile. every: accesses between two samples.
    """
    cdef loop_t l
    cdef Machine machine
    cdef const uint64_t[::1] future     # kept alive for the policy
    cdef list samples
    cdef uint64_t every
    cdef uint64_t next_sample

    def __cinit__(self, Machine machine, list pids, uint64_t every=1000000):
        self.machine = machine
        self.samples = []
        self.every = every
        self.next_sample = every
        self.l.m = machine.m
        self.l.nr_mms = <uint32_t>len(pids)
        self.l.mm = <mm_struct**>calloc(len(pids), sizeof(mm_struct*))
        if self.l.mm == NULL:
            raise MemoryError("no memory for the table of processes")
        for i, pid in enumerate(pids):
            self.l.mm[i] = machine.mm_of(pid)

    def __dealloc__(self):
        free(self.l.mm)

    @property
    def wants_future(self):
        """Must set_future be called before the first access?"""
        return bool(getattr(self.machine.policy, "wants_future", False))

    def set_future(self, const uint64_t[::1] next_use):
        """uint64[accesses of the whole trace]: the position of the next access to the same page; not kept beyond this loop."""
        if not self.wants_future:
            raise ValueError(f"reclaim={self.machine.reclaim!r} does not look into the future")
        self.future = next_use
        opt_set_next(self.l.m.policy, &next_use[0] if next_use.shape[0] else NULL, next_use.shape[0])

    @property
    def accesses(self):
        return self.l.done

    @property
    def faults(self):
        return self.l.faults

    @property
    def write_upgrades(self):
        return self.l.write_upgrades

    @property
    def peak_rss_pages(self):
        """VmHWM in pages, summed over the processes."""
        cdef uint64_t peak = 0, rss
        cdef uint32_t i
        for i in range(self.l.nr_mms):
            rss = rss_of(self.l.mm[i])
            peak += max(rss, self.l.mm[i].hiwater_rss)
        return peak

    @property
    def seconds(self):
        """Wall time spent in the loop."""
        return self.l.seconds

    def feed(self, const uint64_t[::1] va, const uint8_t[::1] kind, const uint32_t[::1] who=None):
        """Replay accesses: va uint64[n] in bytes, kind uint8[n] (0 read, 1 write, 2 exec), who uint32[n] number of the process or None.

        Raises what the first access that cannot be done raises (`accesses` is how many were done before it), and
        KeyboardInterrupt between two chunks.
        """
        cdef int64_t n = va.shape[0], i = 0, k
        cdef uint64_t began
        cdef double t
        if kind.shape[0] != n or who is not None and who.shape[0] != n:
            raise ValueError("va, kind and who differ in length")
        self.check_numbers(kind, who)
        while i < n:
            self.machine.usable()
            k = min(n - i, SIGNALS_EVERY, <int64_t>(self.next_sample - self.l.done))
            began = self.l.done
            self.machine.busy = True
            with nogil:
                t = seconds_now()
                run_trapped(&self.l, &va[i], &kind[i], &who[i] if who is not None else NULL, k)
                self.l.seconds += seconds_now() - t
            self.machine.busy = False
            i += <int64_t>(self.l.done - began)
            self.l.m.clock += self.l.done - began
            if self.l.err:
                raise self.error(va[i], kind[i])
            if self.l.done == self.next_sample:
                self.take()
            PyErr_CheckSignals()

    cdef object error(self, uint64_t va, int kind):
        if self.l.err == BROKEN:
            return self.machine.unwound()
        return self.machine.access_error(self.l.err, va, kind, self.l.mm[self.l.who].pid)

    cdef int check_numbers(self, const uint8_t[::1] kind, const uint32_t[::1] who) except -1:
        if kind.shape[0] and np.max(kind) > ACCESS_EXEC:
            raise ValueError("kind: expected 0 (read), 1 (write) or 2 (exec)")
        if who is not None and who.shape[0] and np.max(who) >= self.l.nr_mms:
            raise ValueError("who: a process that there is not")
        return 0

    cdef int take(self) except -1:
        row = np.empty(SAMPLE_FIELDS, np.uint64)
        cdef uint64_t[::1] out = row
        sample(&self.l, &out[0])
        self.samples.append(row)
        self.next_sample = self.l.done + self.every
        return 0

    def series(self):
        """The time series so far: dict of SERIES -> uint64[samples], the last one of what remained after whole intervals.

        Counters (the first SERIES_COUNTERS) are per interval, sizes are in pages at its end.
        """
        if not self.samples or self.samples[len(self.samples) - 1][0] != self.l.done:
            self.take()
        rows = np.stack(self.samples)
        counted = np.diff(rows[:, :SERIES_COUNTERS], axis=0, prepend=np.zeros((1, SERIES_COUNTERS), np.uint64))
        rows = np.concatenate([counted, rows[:, SERIES_COUNTERS:]], axis=1)
        return {name: np.ascontiguousarray(rows[:, i]) for i, name in enumerate(SERIES)}
