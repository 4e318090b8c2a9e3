# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The workbench for pages, LRU lists and the swap cache. Kernel: none of it; the fields are struct page's.
# A page made here has one reference, the bench's. What is set is what is asked for, and no counter beside it but the lists' own.
from libc.errno cimport ENOMEM
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from rmapemu.hw.pte cimport swp_entry
from rmapemu.machine.file cimport File, mapping_arg
from rmapemu.machine.lab_vma cimport LabVma
from rmapemu.machine.page cimport Page, page_handle, pfn_of
from rmapemu.mm.compound cimport prep_compound_page
from rmapemu.mm.filemap cimport add_to_page_cache_locked, file_open
from rmapemu.mm.lock cimport lock_page, unlock_page
from rmapemu.mm.page_alloc cimport alloc_pages, get_page, put_page
from rmapemu.mm.swap_lru cimport add_page_to_lru_list, add_page_to_lru_tail, del_page_from_lru_list, page_lru
from rmapemu.mm.swapfile cimport swap_count
from rmapemu.mm.types cimport *

from rmapemu.machine.enums import PageFlag
from rmapemu.machine.names import LRU
from rmapemu.mm.vmstat import ZONE_STAT_NAMES
from rmapemu.machine.sizes import pair, parse_int, pick


cdef int64_t op_page(machine* m, const uint64_t* a) noexcept nogil:
    cdef uint32_t pfn = alloc_pages(m, GFP_KERNEL, <int>a[0])
    return -ENOMEM if pfn == 0 else <int64_t>pfn


cdef int64_t op_file_page(machine* m, const uint64_t* a) noexcept nogil:
    cdef uint32_t pfn = alloc_pages(m, GFP_KERNEL, 0)
    cdef address_space* f = <address_space*>a[0]
    cdef int err
    if pfn == 0:
        return -ENOMEM
    lock_page(m, pfn)
    err = add_to_page_cache_locked(m, pfn, f, a[1], GFP_KERNEL)
    unlock_page(m, pfn)
    if err == 0:
        m.pages[pfn].flags |= PG_uptodate
        if f.kind == FILE_SHMEM:
            m.pages[pfn].flags |= PG_swapbacked
            inc_zone_page_state(m, pfn, NR_SHMEM)
    put_page(m, pfn)
    return <int64_t>err if err else <int64_t>pfn


cdef int64_t op_get(machine* m, const uint64_t* a) noexcept nogil:
    get_page(m, <uint32_t>a[0])
    return 0


cdef int64_t op_put(machine* m, const uint64_t* a) noexcept nogil:
    put_page(m, <uint32_t>a[0])
    return 0


cdef int64_t op_file(machine* m, const uint64_t* a) noexcept nogil:
    cdef address_space* f = file_open(m, <int>a[0], a[1])
    return -ENOMEM if f == NULL else <int64_t>f.ino


cdef class LabPage(LabVma):
    """Pages and their fields; the lists; the swap cache."""

    def page(self, str kind="plain"):
        """A Page with one reference, the bench's: ``"plain"``, the head of a ``"thp"`` or ``"huge"`` (hugetlb) page, or ``"ksm"``, a page
        that is KSM's and has no stable node yet (``stable_node``).
        """
        cdef uint64_t a[1]
        cdef uint32_t pfn
        self.open()
        pick(kind, ("plain", "thp", "huge", "ksm"), "kind")
        if kind == "huge" and not self.machine.m.config.hugetlb_page or kind == "ksm" and not self.machine.m.config.ksm:
            raise ValueError(f"kind={kind!r}: config: the machine is without it")
        a[0] = 0 if kind in ("plain", "ksm") else self.machine.m.hw.fmt.level[1].shift - self.machine.m.page_shift
        if a[0] >= MAX_ORDER:
            raise ValueError(f"kind={kind!r}: larger than a block can be")
        pfn = <uint32_t>self.do(op_page, a)
        if kind == "ksm":
            self.machine.m.pages[pfn].mapping = PAGE_MAPPING_FLAGS
        elif kind != "plain":
            prep_compound_page(self.machine.m, pfn, <uint32_t>a[0], PG_huge if kind == "huge" else 0)
        return page_handle(self.machine, pfn)

    def file(self, npages, kind="regular"):
        """A File of so many pages, ``"regular"`` or ``"shmem"``."""
        cdef uint64_t a[2]
        cdef uint32_t ino
        self.open()
        a[0] = FILE_SHMEM if pick(kind, ("regular", "shmem"), "kind") == "shmem" else FILE_REGULAR
        a[1] = parse_int(npages, "npages", 0, 1 << 40) << self.machine.m.page_shift
        ino = <uint32_t>self.do(op_file, a)
        generation = self.machine.file_names.get(ino, (0, None))[0] + 1
        self.machine.file_names[ino] = (generation, f"file{ino}")
        return File(self.machine, ino, generation)

    def file_page(self, file, index):
        """A Page in the file's page cache at the index: unlocked, uptodate, on no list; its one reference is the cache's."""
        cdef uint64_t a[2]
        cdef int64_t r
        self.open()
        a[0] = <uint64_t>mapping_arg(self.machine, file)
        a[1] = parse_int(index, "index", 0, 1 << 51)
        r = self.do(op_file_page, a)
        if r < 0:
            raise ValueError(f"index={index}: {file!r} has a page there already")
        return page_handle(self.machine, <uint32_t>r)

    cdef page* _page(self, object handle) except NULL:
        self.open()
        return &self.machine.m.pages[pfn_of(self.machine, handle, True)]

    def get_page(self, page):
        """One reference more, the bench's."""
        cdef uint64_t a[1]
        self._page(page)
        a[0] = (<Page>page).pfn
        self.do(op_get, a)

    def put_page(self, page):
        """One reference less; the last one frees it."""
        cdef uint64_t a[1]
        self._page(page)
        a[0] = (<Page>page).pfn
        self.do(op_put, a)

    def flags(self, page, value=None, *, set=0, clear=0):
        """page.flags as a PageFlag; first becomes the value, where given, then bits are set and cleared."""
        p = self._page(page)
        bits = p.flags if value is None else parse_int(value, "value")
        p.flags = (bits | parse_int(set, "set")) & ~parse_int(clear, "clear") & 0xffffffff
        return PageFlag(p.flags)

    def mapping(self, page, owner):
        """Sets page.mapping: a File, the serial number of an anon_vma, or None."""
        p = self._page(page)
        if owner is None:
            p.mapping = 0
        elif isinstance(owner, File):
            p.mapping = mapping_arg(self.machine, owner).ino << PAGE_MAPPING_SHIFT
        else:
            p.mapping = anon_vma_to_mapping(self.machine.m, self.av(owner))

    def index(self, page, value):
        """Sets page.index, in pages."""
        self._page(page).index = parse_int(value, "value", 0)

    def private(self, page, value):
        """Sets page_private: a number, or ``(type, offset)`` of a swap slot. Not of a frame of page tables: there it is a lock."""
        if self._page(page).flags & PG_table:
            raise ValueError(f"{page!r} holds page tables: its private is their lock, for hold and release")
        if isinstance(value, tuple):
            t, o = pair(value, "value")
            value = self._slot(t, o)
            value = value[0] << 27 | value[1]
        self.machine.m.pages[(<Page>page).pfn].private = parse_int(value, "value", 0, 0xffffffff)

    def count(self, page, value):
        """Sets _count."""
        self._page(page).count = parse_int(value, "value", -(1 << 31), (1 << 31) - 1)

    def mapcount(self, page, value):
        """Sets the mapcount (the kernel's _mapcount + 1)."""
        self._page(page).mapcount = parse_int(value, "value", -(1 << 31), (1 << 31) - 1)

    def token(self, page, value):
        """Sets the content token."""
        self._page(page)
        self.machine.m.token[(<Page>page).pfn] = parse_int(value, "value", 0)
        self.machine.m.has_tokens |= self.machine.m.token[(<Page>page).pfn] != 0

    def lru(self, page, name, where="head"):
        """Puts it at the ``"head"`` or ``"tail"`` of a list, with the flags that belong there; None: takes it off."""
        p = self._page(page)
        cdef uint32_t pfn = (<Page>page).pfn
        cdef zone* z = page_zone(self.machine.m, pfn)
        cdef int lru
        if name is not None:
            pick(name, LRU, "name")
            pick(where, ("head", "tail"), "where")
        if p.flags & PG_lru:
            del_page_from_lru_list(self.machine.m, z, pfn, page_lru(p))
            p.flags &= ~<uint32_t>(PG_lru | PG_active | PG_unevictable)
        if name is None:
            return
        lru = LRU.index(name)
        p.flags |= PG_lru
        if lru == LRU_UNEVICTABLE:
            p.flags |= PG_unevictable
        else:
            p.flags |= PG_active if lru & LRU_ACTIVE else 0
            p.flags = p.flags & ~<uint32_t>PG_swapbacked if lru & LRU_FILE else p.flags | PG_swapbacked
        if where == "head":
            add_page_to_lru_list(self.machine.m, z, pfn, lru)
        else:
            add_page_to_lru_tail(self.machine.m, z, pfn, lru)

    def zone_stat(self, name, value=None):
        """A counter nr_* of the first zone, in pages; sets it first where a value is given."""
        cdef int item
        self.open()
        item = ZONE_STAT_NAMES.index(pick(name, ZONE_STAT_NAMES, "name"))
        if value is not None:
            self.machine.m.zones[0].vm_stat[item] = <uint64_t><int64_t>parse_int(value, "value", -(1 << 63), (1 << 63) - 1)
        return <int64_t>self.machine.m.zones[0].vm_stat[item]

    # ------------------------------------------------------------ swap
    cdef object _slot(self, object swap_type, object offset):
        cdef machine* m = self.machine.m
        t, o = parse_int(swap_type, "type"), parse_int(offset, "offset")
        if not 0 <= t < <int>m.nr_swapfiles or not 0 < o < m.swap_info[t].max:
            raise ValueError(f"swap slot {t}:{o}: there is no such slot")
        return t, o

    cdef int _slot_used(self, swap_info_struct* si, bint before, bint after) except -1:
        if before != after:
            si.inuse_pages += 1 if after else -1
            self.machine.m.nr_swap_pages += -1 if after else 1
        return 0

    def swapcache(self, page, type=0, offset=None):
        """Puts it into the swap cache at the slot; without an offset takes it out. With the reference and nr_file_pages that go with it."""
        p = self._page(page)
        cdef uint32_t pfn = (<Page>page).pfn
        cdef swap_info_struct* si
        cdef machine* m = self.machine.m
        if p.flags & PG_table:
            raise ValueError(f"{page!r} holds page tables")
        if bool(p.flags & PG_swapcache) == (offset is not None):
            raise ValueError(f"{page!r}: " + ("in the swap cache already" if offset is not None else "not in the swap cache"))
        t, o = self._slot(type, offset) if offset is not None else self._slot(m.pages[pfn].private >> 27, m.pages[pfn].private & 0x7ffffff)
        si = &m.swap_info[<int>t]
        before = si.swap_map[<uint32_t>o]
        if offset is not None and before & SWAP_HAS_CACHE:
            raise ValueError(f"swap slot {t}:{o} has a page already")
        si.swap_map[<uint32_t>o] = before ^ SWAP_HAS_CACHE
        self._slot_used(si, before != 0, si.swap_map[<uint32_t>o] != 0)
        cdef int64_t sign = 1 if offset is not None else -1       # counters set by hand may pass 0
        p.flags ^= PG_swapcache
        p.count = <int32_t>(<uint32_t>p.count + <uint32_t>sign)
        m.pages[pfn].private = t << 27 | o if offset is not None else 0
        si.cache[<uint32_t>o] = pfn if offset is not None else 0
        m.nr_swapcache_pages += <uint64_t>sign
        page_zone(m, pfn).vm_stat[NR_FILE_PAGES] += <uint64_t>sign

    def swap_count(self, type, offset, value=None):
        """Users of a slot; sets them first where a value (up to 0x3e) is given. The swap cache is not a user."""
        cdef swap_info_struct* si
        cdef uint32_t o
        self.open()
        t, slot = self._slot(type, offset)
        si = &self.machine.m.swap_info[<int>t]
        o = slot
        if value is not None:
            users = parse_int(value, "value")
            if not 0 <= users <= SWAP_MAP_MAX:
                raise ValueError(f"value={value}: expected 0 to {SWAP_MAP_MAX}")
            before = si.swap_map[o]
            si.swap_map[o] = (before & SWAP_HAS_CACHE) | users
            si.extra[o] = 0
            self._slot_used(si, before != 0, si.swap_map[o] != 0)
        return swap_count(self.machine.m, swp_entry(t, o))
