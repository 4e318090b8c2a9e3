# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Machine: owns all state, checks arguments, turns codes of mm/ into exceptions.
# Kernel: nothing of it; the /proc files it shows are fs/proc/meminfo.c and mm/vmstat.c.
# Every call into mm/ goes through `trapped`, which is where BUG_ON unwinds to.
import errno as _errno
import os
from importlib.metadata import entry_points

import numpy as np

from cpython.buffer cimport PyBuffer_FillInfo
from libc.errno cimport EINVAL, ENOMEM
from libc.string cimport memcpy
from libc.stdint cimport uint64_t, int64_t, uint32_t, uint8_t
from rmapemu.hw.ops cimport Backend
from rmapemu.hw.costs cimport *
from rmapemu.mm.types cimport *
from rmapemu.mm.lock cimport rm_setjmp, release_all
from rmapemu.mm.machine cimport machine_create, machine_destroy, machine_params, minimum_frames, kmem_footprint
from rmapemu.mm.memory cimport FAULT_SIGSEGV_MAPERR, FAULT_SIGSEGV_ACCERR, FAULT_SIGBUS_ADRERR, FAULT_SIGBUS_HWPOISON, FAULT_WOULD_BLOCK
from rmapemu.mm.fork cimport mm_alloc
from rmapemu.mm.filemap cimport file_open
from rmapemu.mm.swapfile cimport swapon
from rmapemu.mm.vmscan cimport wakeup_kswapd
from rmapemu.mm.vmstat cimport read_vm_events, read_zone_stats
from rmapemu.mm.policy cimport Policy, policy_make

from rmapemu.hw.registry import get as get_backend
from rmapemu.errors import BusError, GoneError, KernelBug, LockOrderError, OutOfMemory, SegmentationFault, WouldBlock
from rmapemu.machine.costs import Cost, Measure
from rmapemu.machine.names import BUGS, CONFIG, LRU
from rmapemu.mm.vmstat import LOCK_NAMES, VM_EVENT_NAMES, ZONE_STAT_NAMES
from rmapemu.machine.sizes import parse_int, parse_size, pick

PAGE_DTYPE = np.dtype([("flags", "u4"), ("mapcount", "i4"), ("count", "i4"), ("mapping", "u4"), ("index", "u8"), ("next", "u4"), ("prev", "u4")])
"""struct page, as ``Machine.mem_map`` shows it (mm/types.pxd says what the fields mean)."""


cdef int64_t trapped(machine* m, op_t op, const uint64_t* a) noexcept nogil:
    """Runs the operation; TRAPPED where BUG_ON or a lock that cannot be had unwound it."""
    cdef int64_t r
    if rm_setjmp(m.trap) != 0:
        return TRAPPED
    m.trap_set = 1
    r = op(m, a)
    m.trap_set = 0
    return r


cdef object errno_error(int64_t code, object what):
    return OSError(<int>-code, f"{what}: {os.strerror(<int>-code)}" if what else os.strerror(<int>-code))


cdef class ArenaView:
    """Read-only buffer over a part of a machine's memory; the machine cannot be closed while one is held."""
    cdef Machine owner
    cdef void* start
    cdef Py_ssize_t size

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        if self.owner.m == NULL:
            raise ValueError("the machine is closed")
        PyBuffer_FillInfo(buffer, self, self.start, self.size, 1, flags)
        self.owner.exports += 1

    def __releasebuffer__(self, Py_buffer* buffer):
        self.owner.exports -= 1


cdef object view(Machine owner, void* start, uint64_t size, object dtype):
    cdef ArenaView v = ArenaView.__new__(ArenaView)
    v.owner = owner
    v.start = start
    v.size = <Py_ssize_t>size
    return np.frombuffer(v, dtype=dtype)


# ---------------------------------------------------------------- operations
cdef int64_t op_spawn(machine* m, const uint64_t* a) noexcept nogil:
    cdef mm_struct* mm = mm_alloc(m)
    return -ENOMEM if mm == NULL else <int64_t>(mm - <mm_struct*>m.kmem[KMEM_MM].base)


cdef int64_t op_file(machine* m, const uint64_t* a) noexcept nogil:
    cdef address_space* f = file_open(m, <int>a[0], a[1])
    return -ENOMEM if f == NULL else <int64_t>f.ino


cdef int64_t op_swapon(machine* m, const uint64_t* a) noexcept nogil:
    return swapon(m, a[0], <int>a[1])


cdef int64_t op_kswapd(machine* m, const uint64_t* a) noexcept nogil:
    wakeup_kswapd(m, 0, 0)
    return 0


cdef class Machine:
    """A Linux v3.2 machine's memory management: frames, page tables, processes, files, swap, the reverse map.

    ``memory`` is all of its memory (bytes or text like ``"64M"``), page tables included. ``frames`` instead of it is exactly so many
    frames for user pages: tables apart, no watermarks, no zero page, no swap readahead, one page reclaimed at a time.
    ``swap`` is the size of a swap area, or a list of sizes. ``config`` switches what CONFIG_ options switch. ``keys`` says when an
    arch's storage keys record accesses. Everything is deterministic; ``seed`` feeds the policies that draw lots.

    >>> with Machine(memory="16M", swap="16M") as m:
    ...     init = m.spawn("init")
    ...     heap = init.mmap(1 << 16)
    ...     init.write(heap.start)
    ...     m.vmstat["pgfault"], init.page_at(heap.start).mapcount
    (1, 1)
    """

    def __cinit__(self):
        self.m = NULL

    def __init__(self, arch="x86_64", memory=None, *, swap=None, frames=None, reclaim="v3.2", rmap="v3.2", config=None, seed=0,
                 thp="never", keys="exact"):
        if self.m != NULL:
            raise RuntimeError("a Machine is set up once")
        self.tasks = {}
        self.file_names = {}
        self.swap_sizes = []
        self.backend = get_backend(arch)
        self.arch = self.backend.name
        self.rmap_design = pick(rmap, {"v3.2", *_names("rmapemu.rmap")}, "rmap")
        self.reclaim = pick(reclaim, {"v3.2", *_names("rmapemu.reclaim")}, "reclaim")
        self.keys = pick(keys, ("exact", "tlb-latched"), "keys")
        self.thp = pick(thp, ("never", "madvise"), "thp")
        seed = parse_int(seed, "seed") & 0xffffffffffffffff
        switches = _switches(config)
        sizes = [parse_size(s, "swap") for s in (swap if isinstance(swap, (list, tuple)) else [] if swap is None else [swap])]
        _create(self, memory, frames, switches)
        for size in sizes:
            self._swapon(size)
        if self.reclaim != "v3.2":
            _plug_in(self, _load("rmapemu.reclaim", self.reclaim), seed)

    def __dealloc__(self):
        if self.m != NULL:
            machine_destroy(self.m)
            self.m = NULL

    # ------------------------------------------------------------ the funnel
    cdef int readable(self) except -1:
        if self.m == NULL:
            raise ValueError("the machine is closed")
        return 0

    cdef int usable(self) except -1:
        if self.m == NULL:
            raise ValueError("the machine is closed")
        if self.m.dead:
            raise self.unwound()
        if self.busy:
            raise RuntimeError("the machine is running an operation: one machine serves one thread at a time")
        return 0

    cdef int64_t run_op(self, op_t op, const uint64_t* a) except? TRAPPED:
        cdef int64_t r
        self.usable()
        self.busy = True
        with nogil:
            r = trapped(self.m, op, a)
        self.busy = False
        if r == TRAPPED:
            raise self.unwound()
        if self.block_error is not None:
            raise self._taken_error()
        return r

    cdef int64_t call(self, op_t op, const uint64_t* a) except? TRAPPED:
        cdef int64_t r = self.run_op(op, a)
        if r < 0:
            raise errno_error(r, "")
        return r

    def _taken_error(self):
        error, self.block_error = self.block_error, None
        return error

    cdef object unwound(self):
        cdef bug_t* b = &self.m.bug
        if self.block_error is not None:
            return self._taken_error()
        if b.kind == BUG_WOULD_BLOCK:
            return WouldBlock(LOCK_NAMES[b.lock_class], _owner(self.m, b.lock_class, b.object))
        if b.kind == BUG_LOCK_ORDER:
            return LockOrderError(LOCK_NAMES[b.lock_class], LOCK_NAMES[b.lock_held])
        condition = b.condition.decode() if b.condition != NULL else ""
        if b.kind == BUG_DEADLOCK:
            condition = f"{LOCK_NAMES[b.lock_class]} of {_owner(self.m, b.lock_class, b.object)} is held already"
        return KernelBug(BUGS[b.kind], condition, b.function.decode() if b.function != NULL else "")

    cdef object access_error(self, int64_t code, uint64_t va, int kind, uint32_t pid):
        letter = "rwx"[kind]
        if code == FAULT_SIGSEGV_MAPERR or code == FAULT_SIGSEGV_ACCERR:
            return SegmentationFault(va, "MAPERR" if code == FAULT_SIGSEGV_MAPERR else "ACCERR", pid, letter)
        if code == FAULT_SIGBUS_ADRERR or code == FAULT_SIGBUS_HWPOISON:
            return BusError(va, "ADRERR" if code == FAULT_SIGBUS_ADRERR else "HWPOISON", pid, letter)
        if code == FAULT_WOULD_BLOCK:
            return WouldBlock("migration entry", f"{va:#x} of process {pid}")
        if code == -ENOMEM:
            return OutOfMemory(self.lists())
        return errno_error(code, f"{va:#x}")

    cdef mm_struct* mm_of(self, uint32_t pid) except NULL:
        cdef mm_struct* mm
        self.readable()
        task = self.tasks.get(pid)
        if task is not None:
            mm = <mm_struct*>self.m.kmem[KMEM_MM].base + <uint64_t>task[0]
            if mm.in_use and mm.pid == pid:
                return mm
        raise GoneError(f"process {pid} is gone")

    cdef address_space* mapping_of(self, uint32_t ino, uint64_t generation) except NULL:
        cdef address_space* a = <address_space*>self.m.kmem[KMEM_MAPPING].base + ino
        self.readable()
        if a.refs == 0 or a.ino != ino or self.file_names.get(ino, (0, None))[0] != generation:
            raise GoneError(f"file {ino} is gone")
        return a

    # ------------------------------------------------------------ what a user does
    def spawn(self, str name="process"):
        """A new Process with an empty address space."""
        cdef int64_t slot = self.call(op_spawn, NULL)
        cdef mm_struct* mm = <mm_struct*>self.m.kmem[KMEM_MM].base + slot
        self.tasks[mm.pid] = (slot, name, 0)
        return Process(self, mm.pid)

    @property
    def processes(self):
        """The live processes, by pid."""
        return [Process(self, pid) for pid in sorted(self.tasks)]

    def file(self, size, kind="regular", name=None):
        """A File of so many bytes: ``"regular"`` (disk-backed) or ``"shmem"`` (tmpfs: swap-backed)."""
        cdef uint64_t a[2]
        cdef uint32_t ino
        a[0] = FILE_SHMEM if pick(kind, ("regular", "shmem"), "kind") == "shmem" else FILE_REGULAR
        a[1] = parse_size(size)
        ino = <uint32_t>self.call(op_file, a)
        generation = self.file_names.get(ino, (0, None))[0] + 1
        self.file_names[ino] = (generation, str(name) if name is not None else f"file{ino}")
        return File(self, ino, generation)

    @property
    def sysctl(self):
        """The knobs of /proc/sys/vm, as attributes or by name: ``m.sysctl.swappiness``, ``m.sysctl["page-cluster"]``."""
        return Sysctl(self)

    @property
    def rmap(self):
        """Every function of mm/rmap.c, with Page and Vma handles."""
        from rmapemu.machine.rmap_face import Rmap

        return Rmap(self)

    @property
    def lab(self):
        """The workbench: any state built by hand."""
        from rmapemu.machine.lab import Lab

        return Lab(self)

    def _swapon(self, size, priority=-1):
        cdef uint64_t a[2]
        cdef int64_t r
        a[0] = <uint64_t>parse_size(size, "swap")
        a[1] = <uint64_t><int64_t>parse_int(priority, "priority")
        if a[0] < <uint64_t>2 << self.m.page_shift:
            raise ValueError(f"swap={size!r}: a swap area is a header and at least one page of {1 << self.m.page_shift} bytes")
        r = self.run_op(op_swapon, a)
        if r < 0:
            raise errno_error(r, f"swap={size!r}")
        self.swap_sizes.append(a[0])

    def run(self, str daemon):
        """Runs a daemon of the kernel to its end: ``"kswapd"``."""
        if pick(daemon, ("kswapd",), "daemon") == "kswapd":
            self.call(op_kswapd, NULL)

    def tick(self, n=1):
        """Lets the logical clock go on by n."""
        self.usable()
        n = parse_int(n, "n")
        if n < 0:
            raise ValueError(f"n={n}: time does not run backwards")
        self.m.clock += <uint64_t>n

    # ------------------------------------------------------------ what there is to see
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
        values = np.empty(sizeof(costs_t) // 8, dtype=np.uint64)
        cdef uint64_t[::1] into = values
        memcpy(&into[0], &self.m.hw.cost, sizeof(costs_t))
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
        """Read-only uint8 array of n frames from pfn on (all by default). Only frames that hold page tables have bytes."""
        self.readable()
        first = parse_int(pfn, "pfn")
        many = self.m.nr_frames - first if n is None else parse_int(n, "n")
        if first < 0 or many < 0 or first + many > self.m.nr_frames:
            raise ValueError(f"pfn={first}, n={many}: the machine has {self.m.nr_frames} frames")
        return view(self, self.m.hw.base + (<uint64_t>first << self.m.page_shift), <uint64_t>many << self.m.page_shift, np.uint8)

    def page(self, pfn):
        """The Page of a frame."""
        self.readable()
        pfn = parse_int(pfn, "pfn")
        if not 0 < pfn < self.m.nr_frames:
            raise ValueError(f"pfn={pfn}: the machine has frames 1 to {self.m.nr_frames - 1}")
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

    def check(self):
        """Checks the whole state for contradictions; raises CheckError with what is wrong and where."""
        from rmapemu.machine.check import check_machine

        check_machine(self)

    def dump(self):
        """The whole state as plain Python data, stable across runs, made to be compared."""
        from rmapemu.machine.dump import dump_machine

        return dump_machine(self)

    def digest(self):
        """blake2b over the dump: equal states, equal digests."""
        from rmapemu.machine.dump import digest_machine

        return digest_machine(self)

    def clone(self):
        """An exact copy that shares nothing with this machine."""
        from rmapemu.machine.clone import clone_machine

        return clone_machine(self)

    def close(self):
        """Frees everything at once. Not while NumPy views of its memory are alive (BufferError)."""
        if self.m == NULL:
            return
        if self.busy:
            raise RuntimeError("the machine is running an operation")
        if self.exports:
            raise BufferError(f"{self.exports} views of the machine's memory are alive")
        machine_destroy(self.m)
        self.m = NULL
        self.policy = None

    def __enter__(self):
        self.readable()
        return self

    def __exit__(self, *exc):
        self.close()

    def __repr__(self):
        if self.m == NULL:
            return "<Machine closed>"
        state = ", dead" if self.m.dead else ""
        return f"<Machine {self.arch}, {self.m.nr_frames} frames of {1 << self.m.page_shift} bytes, {self.m.nr_mms} processes{state}>"

    def __reduce__(self):
        raise TypeError("a Machine is not pickled: use clone(), or dump() for its state as data")


# ---------------------------------------------------------------- setting up
def _names(group):
    return [point.name for point in entry_points(group=group)]


def _load(group, name):
    return next(point for point in entry_points(group=group) if point.name == name).load()


def _switches(config):
    """{number in config_t: 0 or 1} from a dict of CONFIG_ names in any case."""
    switches = {}
    for name, value in dict(config or {}).items():
        if not isinstance(name, str):
            raise TypeError(f"config: {name!r} is not a name")
        if not isinstance(value, (bool, int)):
            raise TypeError(f"config[{name!r}]={value!r}: expected a bool")
        switches[CONFIG.index(pick(name.removeprefix("CONFIG_").lower(), CONFIG, "config"))] = bool(value)
    return switches


cdef int _create(Machine self, object memory, object frames, dict switches) except -1:
    cdef machine_params p
    cdef Backend backend = self.backend
    cdef int err = 0
    if frames is not None and memory is not None:
        raise ValueError("memory and frames: give one of them")
    p.ops = &backend.ops
    p.fmt = &backend.format_
    p.memory_bytes = 0
    p.frames = 0
    if frames is not None:
        p.frames = _positive(frames, "frames")
    else:
        p.memory_bytes = _positive(parse_size("256M" if memory is None else memory, "memory"), "memory")
    p.key_exact = self.keys == "exact"
    p.zero_page = p.frames == 0
    p.swap_readahead = p.frames == 0
    self.m = machine_create(&p, &err)
    if self.m == NULL:
        if err != -EINVAL:
            raise errno_error(err, f"memory={memory!r}")
        least = minimum_frames(p.fmt)
        raise ValueError(f"memory={memory!r}: the least that runs is {least << p.fmt.page_shift} bytes ({least} frames), "
                         f"the most {1 << 31} frames" if frames is None else f"frames={frames!r}: more than there can be")
    self.m.py = <void*>self
    for number, on in switches.items():
        (<uint8_t*>&self.m.config)[<int>number] = on
    return 0


cdef int _plug_in(Machine self, Policy policy, uint64_t seed) except -1:
    cdef int err = 0
    self.m.policy = policy_make(self.m, policy, seed, &err)
    if err:
        raise errno_error(err, f"reclaim={policy.name!r}")
    self.policy = policy
    return 0


def _positive(value, name):
    number = parse_int(value, name)
    if not 0 < number < 1 << 62:
        raise ValueError(f"{name}={value!r}: expected a positive number")
    return number


cdef object _owner(machine* m, int lock_class, void* owner):
    """What has the lock, as text."""
    if owner == NULL:
        return "the machine"
    if lock_class == LOCK_PAGE:
        return f"page {<page*>owner - m.pages}"
    if lock_class == LOCK_MMAP_SEM or lock_class == LOCK_PTL:
        return f"process {(<mm_struct*>owner).pid}"
    if lock_class == LOCK_ANON_VMA:
        return f"anon_vma {(<anon_vma*>owner).serial}"
    if lock_class == LOCK_I_MMAP:
        return f"file {(<address_space*>owner).ino}"
    return "the machine"


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


from rmapemu.machine.process import Process
from rmapemu.machine.file import File
from rmapemu.machine.page import Page
from rmapemu.machine.sysctl import Sysctl
