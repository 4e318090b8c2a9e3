# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Machine: set up from checked arguments, processes, files, daemons. Kernel: nothing of it.
# The funnel into mm/ is base.pyx, what there is to see is view.pyx.
from importlib.metadata import entry_points

from libc.errno cimport EINVAL, ENOMEM
from libc.stdint cimport uint64_t, int64_t, uint32_t, uint8_t
from rmapemu.hw.ops cimport Backend
from rmapemu.machine.base cimport errno_error
from rmapemu.mm.filemap cimport file_open
from rmapemu.mm.fork cimport mm_alloc
from rmapemu.mm.machine cimport machine_create, machine_destroy, machine_params, minimum_frames
from rmapemu.mm.policy cimport Policy, policy_make
from rmapemu.mm.swapfile cimport swapon
from rmapemu.mm.types cimport *
from rmapemu.mm.vmscan cimport wakeup_kswapd

from rmapemu.errors import BusyError
from rmapemu.hw.registry import get as get_backend
from rmapemu.machine.names import CONFIG
from rmapemu.machine.sizes import parse_int, parse_size, pick


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


cdef class Machine(MachineView):
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

    def __init__(self, arch="x86_64", memory=None, *, swap=None, frames=None, reclaim="v3.2", rmap="v3.2", config=None, seed=0,
                 thp="never", keys="exact"):
        if self.m != NULL:
            raise ValueError("a Machine is set up once")
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
            self.swapon(size)
        if self.reclaim != "v3.2":
            _plug_in(self, _load("rmapemu.reclaim", self.reclaim), seed)

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

    def swapon(self, size, priority=-1):
        """swapon(2): one more swap area of so many bytes; a higher priority is used first."""
        cdef uint64_t a[2]
        cdef int64_t r
        self.usable()
        a[0] = <uint64_t>parse_size(size, "swap")
        a[1] = <uint64_t><int64_t>parse_int(priority, "priority", -1, 32767)
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
        n = parse_int(n, "n", -(1 << 63), (1 << 63) - 1)
        if n < 0:
            raise ValueError(f"n={n}: time does not run backwards")
        self.m.clock += <uint64_t>n

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
            raise BusyError("the machine is running an operation")
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


cdef int _plug_in(Machine self, object plug, uint64_t seed) except -1:
    """An entry point of rmapemu.reclaim is a Policy, or a function of (machine, seed) that plugs one in."""
    cdef int err = 0
    if not isinstance(plug, Policy):
        self.policy = plug(self, seed)
        return 0
    self.m.policy = policy_make(self.m, plug, seed, &err)
    if err:
        raise errno_error(err, f"reclaim={plug.name!r}")
    self.policy = plug
    return 0


def _positive(value, name):
    number = parse_int(value, name)
    if not 0 < number < 1 << 62:
        raise ValueError(f"{name}={value!r}: expected a positive number")
    return number


from rmapemu.machine.process import Process
from rmapemu.machine.file import File
from rmapemu.machine.sysctl import Sysctl
