# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Vma: a view of one vm_area_struct. Kernel: include/linux/mm_types.h, fs/proc/task_mmu.c (smaps).
# start and end are what mmap returned and stay; vm_start and vm_end are the VMA's and change as it is merged, split or grown.
from libc.stdint cimport uint64_t, uint32_t
from rmapemu.hw.format cimport pt_format
from rmapemu.hw.pte cimport *
from rmapemu.machine.file cimport file_handle
from rmapemu.machine.machine cimport Machine
from rmapemu.machine.process_view cimport process_handle
from rmapemu.machine.tables cimport peek_pte
from rmapemu.mm.types cimport *

from rmapemu.errors import GoneError
from rmapemu.machine.enums import VmFlag


cdef vm_area_struct* vma_at(mm_struct* mm, uint64_t va) noexcept nogil:
    """Without find_vma's cache, which is state."""
    cdef uint32_t lo = 0, hi = mm.map_count, mid
    while lo < hi:
        mid = (lo + hi) // 2
        if mm.vmas[mid].vm_end <= va:
            lo = mid + 1
        else:
            hi = mid
    return mm.vmas[lo] if lo < mm.map_count and mm.vmas[lo].vm_start <= va else NULL


cdef Vma vma_handle_range(Machine machine, vm_area_struct* v, uint64_t start, uint64_t end):
    cdef Vma self = Vma.__new__(Vma)
    self.machine = machine
    self.serial = v.serial
    self.pid = v.vm_mm.pid
    self.start = start
    self.end = end
    self.slot = <uint64_t>v - <uint64_t>machine.m.kmem[KMEM_VMA].base
    return self


cdef Vma vma_handle(Machine machine, vm_area_struct* v):
    return vma_handle_range(machine, v, v.vm_start, v.vm_end)


cdef vm_area_struct* vma_arg(Machine machine, object handle) except NULL:
    if not isinstance(handle, Vma):
        raise TypeError(f"expected a Vma, not {type(handle).__name__}")
    if (<Vma>handle).machine is not machine:
        raise ValueError(f"{handle!r} is a VMA of another machine")
    return (<Vma>handle).v()


cdef bint is_linked(mm_struct* mm, vm_area_struct* v) noexcept nogil:
    """A freed VMA's memory stays readable, and its link overwrites vm_start only: it is live if its mm still has it."""
    cdef uint32_t i
    if vma_at(mm, v.vm_start) == v:
        return True
    for i in range(mm.map_count):
        if mm.vmas[i] == v:
            return True
    return False


cdef enum:
    PSS_SHIFT = 12


cdef struct smap_t:             # pages, as /proc/PID/smaps counts them
    uint64_t rss, shared_clean, shared_dirty, private_clean, private_dirty, referenced, anonymous, swap
    uint64_t pss                # bytes << PSS_SHIFT: each page's share is cut off there, and the sum to whole kB, as in v3.2


cdef void count_entry(machine* m, vm_area_struct* v, uint64_t e, smap_t* s) noexcept nogil:
    cdef const pt_format* f = m.hw.fmt
    cdef page* p
    cdef bint dirty
    if pte_none(f, e) or (not pte_present(f, e) and pte_file(f, e)):
        return
    if not pte_present(f, e):
        s.swap += 1                     # v3.2 asks is_swap_pte only: pages under migration and poisoned ones count too
        return
    if pte_special(f, e) or pte_pfn(f, e) == m.zero_pfn or pte_pfn(f, e) >= m.nr_frames:
        return
    p = &m.pages[pte_pfn(f, e)]
    dirty = pte_dirty(f, e) or (p.flags & PG_dirty) != 0
    s.rss += 1
    s.anonymous += PageAnon(p)
    s.referenced += pte_young(f, e) or (p.flags & PG_referenced) != 0
    if p.mapcount >= 2:
        s.shared_dirty += dirty
        s.shared_clean += not dirty
    else:
        s.private_dirty += dirty
        s.private_clean += not dirty
    s.pss += (<uint64_t>1 << m.page_shift << PSS_SHIFT) // <uint64_t>(p.mapcount if p.mapcount > 0 else 1)


cdef void count_vma(machine* m, vm_area_struct* v, smap_t* s) noexcept nogil:
    cdef uint64_t va = v.vm_start, i, span = <uint64_t>1 << m.hw.fmt.level[1].shift, end
    cdef uint64_t* pte
    while va < v.vm_end:
        end = (va & ~(span - 1)) + span
        if end > v.vm_end:
            end = v.vm_end
        pte = peek_pte(m, v.vm_mm, va)
        if pte != NULL:
            for i in range((end - va) >> m.page_shift):
                count_entry(m, v, pte[i], s)
        va = end


cdef bint stack_guard_page_start(vm_area_struct* v) noexcept nogil:
    """The lowest page of what grows down is not shown, unless it goes on below."""
    cdef vm_area_struct* below = v.vm_prev
    if not v.vm_flags & VM_GROWSDOWN:
        return False
    return below == NULL or not below.vm_flags & VM_GROWSDOWN or below.vm_end != v.vm_start


cdef str anonymous_name(vm_area_struct* v):
    if v.vm_start <= v.vm_mm.brk and v.vm_end >= v.vm_mm.start_brk:
        return "[heap]"
    top = v.vm_mm.start_stack           # 0: no exec yet
    return "[stack]" if top and v.vm_start <= top and v.vm_end >= top else ""


cdef class Vma:
    """A mapping of a process: ``start``, ``end`` as mmap gave them; ``vm_*`` and the rest show the VMA as it is now."""

    def __init__(self):
        raise TypeError("a Vma comes from Process.mmap, Process.maps or lab.vma")

    cdef vm_area_struct* v(self) except NULL:
        cdef vm_area_struct* v
        cdef mm_struct* mm = self.machine.mm_of(self.pid)
        v = <vm_area_struct*>(self.machine.m.kmem[KMEM_VMA].base + self.slot)
        if v.serial != self.serial or v.vm_mm != mm or not is_linked(mm, v):
            where = f"{self.start:#x}-{self.end:#x} of process {self.pid}"
            raise GoneError(f"VMA {self.serial} ({where}) is gone: unmapped, or merged into another")
        return v

    def __len__(self):
        return self.end - self.start

    @property
    def process(self):
        """The Process that it belongs to."""
        return process_handle(self.machine, self.pid)

    @property
    def vm_start(self):
        """First byte of the VMA now."""
        return self.v().vm_start

    @property
    def vm_end(self):
        """First byte after the VMA now."""
        return self.v().vm_end

    @property
    def vm_pgoff(self):
        """Offset in the file in pages; of anonymous memory, the page number at which it was made."""
        return self.v().vm_pgoff

    @property
    def vm_flags(self):
        """The flags as a VmFlag."""
        return VmFlag(self.v().vm_flags)

    @property
    def file(self):
        """The File that it maps, or None."""
        cdef vm_area_struct* v = self.v()
        return None if v.vm_file == NULL else file_handle(self.machine, v.vm_file)

    @property
    def anon_vma(self):
        """Serial number of its anon_vma, or None."""
        cdef vm_area_struct* v = self.v()
        return None if v.anon_vma == NULL else v.anon_vma.serial

    @property
    def chain(self):
        """Serial numbers of the anon_vmas that it is linked to, newest first."""
        cdef anon_vma_chain* avc = self.v().avc_head
        serials = []
        while avc != NULL:
            serials.append(avc.anon_vma.serial)
            avc = avc.same_vma_next
        return serials

    def smaps(self):
        """dict: what /proc/PID/smaps says of it, in kB."""
        cdef vm_area_struct* v = self.v()
        cdef smap_t s
        cdef machine* m = self.machine.m
        cdef double kb = (1 << m.page_shift) / 1024.0
        s.rss = s.shared_clean = s.shared_dirty = s.private_clean = s.private_dirty = s.referenced = s.anonymous = s.swap = 0
        s.pss = 0
        count_vma(m, v, &s)
        pss = s.pss >> (10 + PSS_SHIFT)
        sizes = {
            "Size": (v.vm_end - v.vm_start) >> m.page_shift, "Rss": s.rss, "Pss": 0, "Shared_Clean": s.shared_clean,
            "Shared_Dirty": s.shared_dirty, "Private_Clean": s.private_clean, "Private_Dirty": s.private_dirty,
            "Referenced": s.referenced, "Anonymous": s.anonymous, "AnonHugePages": 0, "Swap": s.swap,
            "KernelPageSize": 1, "MMUPageSize": 1,
        }
        kilobytes = {name: int(pages * kb) for name, pages in sizes.items()}
        return kilobytes | {"Pss": pss, "Locked": pss if v.vm_flags & VM_LOCKED else 0}

    def __str__(self):
        flags = self.vm_flags
        letters = "".join([letter if flags & bit else "-" for letter, bit in zip("rwx", (VmFlag.READ, VmFlag.WRITE, VmFlag.EXEC))])
        cdef vm_area_struct* v = self.v()
        offset = v.vm_pgoff << self.machine.m.page_shift if v.vm_file != NULL else 0
        ino = v.vm_file.ino if v.vm_file != NULL else 0
        name = file_handle(self.machine, v.vm_file).name if v.vm_file != NULL else anonymous_name(v)
        letters += "s" if flags & VmFlag.MAYSHARE else "p"
        start = v.vm_start + (<uint64_t>stack_guard_page_start(v) << self.machine.m.page_shift)
        return f"{start:08x}-{v.vm_end:08x} {letters} {offset:08x} 00:00 {ino} {name}".rstrip()

    def __eq__(self, other):
        return isinstance(other, Vma) and (<Vma>other).machine is self.machine and (<Vma>other).serial == self.serial

    def __hash__(self):
        return hash((id(self.machine), self.serial))

    def __repr__(self):
        try:
            return f"<Vma {self.serial}: {self}>"
        except (LookupError, ValueError):
            return f"<Vma {self.serial}, gone>"
