# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# MachineView: what there is to see of a machine. Kernel: mm/vmstat.c, fs/proc/meminfo.c.
# Arrays are views of the machine's own memory, read-only; it cannot be closed while one is alive.
import numpy as np

from cpython.buffer cimport PyBuffer_FillInfo
from libc.stdint cimport uint64_t, int64_t, uint8_t
from rmapemu.machine.base cimport MachineBase
from rmapemu.mm.machine cimport kmem_footprint
from rmapemu.mm.types cimport *
from rmapemu.mm.vmstat cimport read_costs, read_vm_events, read_zone_stats

from rmapemu.machine.costs import Cost, Measure
from rmapemu.machine.names import CONFIG, LRU
from rmapemu.machine.sizes import parse_int
from rmapemu.mm.vmstat import COST_NAMES, VM_EVENT_NAMES, ZONE_STAT_NAMES

PAGE_DTYPE = np.dtype([
    ("flags", "u4"), ("mapcount", "i4"), ("count", "i4"), ("mapping", "u4"), ("index", "u8"), ("private", "u4"),
    ("compound_order", "u4"),
])
"""struct page, as ``Machine.mem_map`` shows it (mm/types.pxd says what the fields mean)."""


cdef class ArenaView:
    """Read-only buffer over a part of a machine's memory; the machine cannot be closed while one is held."""
    cdef MachineBase owner
    cdef void* start
    cdef Py_ssize_t size

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        if self.owner.m == NULL:
            raise ValueError("the machine is closed")
        PyBuffer_FillInfo(buffer, self, self.start, self.size, 1, flags)
        self.owner.exports += 1

    def __releasebuffer__(self, Py_buffer* buffer):
        self.owner.exports -= 1


cdef object view(MachineBase owner, void* start, uint64_t size, object dtype):
    cdef ArenaView v = ArenaView.__new__(ArenaView)
    v.owner = owner
    v.start = start
    v.size = <Py_ssize_t>size
    return np.frombuffer(v, dtype=dtype)


cdef class MachineView(MachineBase):
    """What there is to see of a Machine; see Machine."""

    @property
    def vmstat(self):
        """dict: the counters of /proc/vmstat under their names; nr_* and pages are in pages."""
        cdef uint64_t zones[NR_VM_ZONE_STAT_ITEMS]
        cdef uint64_t events[NR_VM_EVENT_ITEMS]
        cdef int i
        self.readable()
        read_zone_stats(self.m, zones)
        read_vm_events(self.m, events)
        stats = {ZONE_STAT_NAMES[i]: <int64_t>zones[i] for i in range(NR_VM_ZONE_STAT_ITEMS)}
        stats.update({VM_EVENT_NAMES[i]: events[i] for i in range(NR_VM_EVENT_ITEMS)})
        return stats

    def meminfo(self):
        """dict: /proc/meminfo in kB, under its names."""
        self.readable()
        return {name: pages << (self.m.page_shift - 10) for name, pages in _meminfo(self.m, self.vmstat).items()}

    @property
    def cost(self):
        """The counters of every operation so far, as a Cost."""
        self.readable()
        values = np.empty(len(COST_NAMES), dtype=np.uint64)
        cdef uint64_t[::1] into = values
        read_costs(self.m, &into[0])
        return Cost(values)

    def measure(self):
        """``with m.measure() as cost:`` gives what the block cost, as a Cost."""
        return Measure(self)

    @property
    def mem_map(self):
        """Read-only structured array of all frames' struct page (``PAGE_DTYPE``), by pfn. It shows the live state."""
        self.readable()
        return view(self, self.m.pages, <uint64_t>self.m.nr_frames * sizeof(page), PAGE_DTYPE)

    def physical_memory(self, pfn=0, n=None):
        """Read-only uint8 array of n frames from pfn on (all by default). Only frames that hold page tables have bytes.

        An entry is 64 bits in the byte order of the computer that this runs on, also where the arch's own is the other (s390):
        ``physical_memory().view(np.uint64)`` has the entries' values.
        """
        self.readable()
        first = parse_int(pfn, "pfn")
        many = self.m.nr_frames - first if n is None else parse_int(n, "n")
        if first < 0 or many < 0 or first + many > self.m.nr_frames:
            asked = f"pfn={first}" if n is None else f"pfn={first}, n={many}"
            raise ValueError(f"{asked}: the machine has {self.m.nr_frames} frames")
        return view(self, self.m.hw.base + (<uint64_t>first << self.m.page_shift), <uint64_t>many << self.m.page_shift, np.uint8)

    def page(self, pfn):
        """The Page of a frame."""
        self.readable()
        pfn = parse_int(pfn, "pfn")
        if not 0 < pfn < self.m.nr_frames:
            raise ValueError(f"pfn={pfn}: the machine has frames 1 to {self.m.nr_frames - 1}")
        from rmapemu.machine.page import Page

        return Page(self, pfn)

    def lists(self):
        """The free pages, the LRU lists and the swap as one line of text."""
        cdef zone* z
        self.readable()
        z = &self.m.zones[0]
        lru = ", ".join([f"{name} {<int64_t>z.vm_stat[NR_LRU_BASE + i]}" for i, name in enumerate(LRU)])
        bound = f", {self.m.user_frames} of {self.m.user_frames_max} user frames" if self.m.user_frames_max else ""
        return (f"{<int64_t>z.vm_stat[NR_FREE_PAGES]} of {z.present_pages} frames free (min {z.watermark[WMARK_MIN]}){bound}; {lru}; "
                f"{self.m.nr_swap_pages} of {self.m.total_swap_pages} swap slots free")

    @property
    def page_size(self):
        """Bytes of a page."""
        self.readable()
        return 1 << self.m.page_shift

    @property
    def nr_frames(self):
        """Frames of physical memory."""
        self.readable()
        return self.m.nr_frames

    @property
    def clock(self):
        """The logical clock: accesses so far and ticks."""
        self.readable()
        return self.m.clock

    @property
    def dead(self):
        """True after a KernelBug: readable, not usable (``lab.revive()`` goes on)."""
        self.readable()
        return bool(self.m.dead)

    @property
    def closed(self):
        """True after close()."""
        return self.m == NULL

    @property
    def config(self):
        """dict: the CONFIG_ switches, as they stand."""
        cdef uint8_t* c
        self.readable()
        c = <uint8_t*>&self.m.config
        return {name: bool(c[i]) for i, name in enumerate(CONFIG)}

    @property
    def warnings(self):
        """How many WARN_ONs fired."""
        self.readable()
        return self.m.warnings

    def footprint(self):
        """Host bytes in use by the machine's structures: mem_map, slab, page tables, keys, swap maps."""
        self.readable()
        return kmem_footprint(self.m)


cdef object _meminfo(machine* m, dict s):
    """/proc/meminfo in pages."""
    cached = m.nr_swapcache_pages
    total = sum([m.zones[z].present_pages for z in range(<int>m.nr_zones)])
    return {
        "MemTotal": total, "MemFree": s["nr_free_pages"], "Buffers": 0,
        "Cached": s["nr_file_pages"] - cached, "SwapCached": cached,
        "Active": s["nr_active_anon"] + s["nr_active_file"], "Inactive": s["nr_inactive_anon"] + s["nr_inactive_file"],
        "Active(anon)": s["nr_active_anon"], "Inactive(anon)": s["nr_inactive_anon"],
        "Active(file)": s["nr_active_file"], "Inactive(file)": s["nr_inactive_file"],
        "Unevictable": s["nr_unevictable"], "Mlocked": s["nr_mlock"],
        "SwapTotal": m.total_swap_pages, "SwapFree": m.nr_swap_pages,
        "Dirty": s["nr_dirty"], "Writeback": s["nr_writeback"], "AnonPages": s["nr_anon_pages"], "Mapped": s["nr_mapped"],
        "Shmem": s["nr_shmem"], "PageTables": s["nr_page_table_pages"],
        "CommitLimit": total * m.sysctl.overcommit_ratio // 100 + m.total_swap_pages, "Committed_AS": m.committed_as,
    }
