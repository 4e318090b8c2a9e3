# SPDX-License-Identifier: GPL-2.0-only
# Page faults, and what all of mm/memory.c shares. Kernel: mm/memory.c. Copy on write stands in cow, swap-in in swapin, file faults
# in file_fault, fork's copying in copy_page_range, unmapping in zap, beside this file; their public functions can be had from here.
from libc.stdint cimport uint64_t, uint32_t, int64_t
from rmapemu.hw.ops cimport addr_space, rm_likely, rm_unlikely, ACCESS_READ, ACCESS_WRITE
from rmapemu.hw.pte cimport pte_mkwrite, pte_pfn, pte_special
from rmapemu.mm.types cimport *
from rmapemu.mm.copy_page_range cimport copy_page_range
from rmapemu.mm.zap cimport (free_pgtables, mmu_gather, tlb_finish_mmu, tlb_gather_mmu, unmap_mapping_range, unmap_vmas, zap_details,
                             zap_page_range, zap_vma_range)

cdef enum:                      # what do_page_fault hands to the access loop beside -ENOMEM (out of memory) and -EINTR (Ctrl-C)
    FAULT_SIGSEGV_MAPERR = -1001    # no mapping there
    FAULT_SIGSEGV_ACCERR = -1002    # not permitted
    FAULT_SIGBUS_ADRERR = -1003     # past the end of the file
    FAULT_SIGBUS_HWPOISON = -1004
    FAULT_WOULD_BLOCK = -1005       # a migration entry

cdef enum:                      # handle_mm_fault's result: bits, 0 is a minor fault that succeeded
    VM_FAULT_OOM = 0x1
    VM_FAULT_SIGBUS = 0x2
    VM_FAULT_MAJOR = 0x4        # it had to read
    VM_FAULT_WRITE = 0x8        # copy on write is done with: the entry may be written
    VM_FAULT_HWPOISON = 0x10
    VM_FAULT_BLOCKED = 0x8000   # not the kernel's: a migration entry, on which the kernel would sleep
    VM_FAULT_ERROR = 0x8013

# hw's fault_t: mmap_sem, find_vma, stack growth, permission, handle_mm_fault, maj_flt and min_flt
cdef int do_page_fault(void* ctx, addr_space* s, uint64_t va, int kind, uint64_t* pte) noexcept nogil
# VM_FAULT_* bits; mmap_sem is held. kind: ACCESS_*. pte: the leaf entry, or NULL: not known, look it up and make its table.
cdef int handle_mm_fault(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte) noexcept nogil
# Warns of an entry that cannot be (counted in machine.warnings).
cdef void print_bad_pte(machine* m, vm_area_struct* vma, uint64_t va, uint64_t e) noexcept nogil

cdef inline bint is_zero_pfn(machine* m, uint32_t pfn) noexcept nogil:
    return pfn == m.zero_pfn

cdef inline uint32_t vm_normal_page(machine* m, vm_area_struct* vma, uint64_t va, uint64_t e) noexcept nogil:
    """The frame of a present entry, or 0: it has no struct page that counts (zero page, special mapping)."""
    cdef uint32_t pfn = pte_pfn(m.hw.fmt, e)
    if rm_unlikely(pte_special(m.hw.fmt, e)):
        if not vma.vm_flags & (VM_PFNMAP | VM_MIXEDMAP) and not is_zero_pfn(m, pfn):
            print_bad_pte(m, vma, va, e)
        return 0
    if rm_unlikely(is_zero_pfn(m, pfn)):        # formats without a special bit
        return 0
    if rm_unlikely(pfn >= m.nr_frames):
        print_bad_pte(m, vma, va, e)
        return 0
    return pfn

cdef struct plain_entry:        # what an ordinary present entry looks like, taken out of the format for loops over many
    uint64_t mask[2]            # present and not special, in the format's one or two ways
    uint64_t value[2]
    uint64_t pa_mask
    uint32_t page_shift
    uint32_t nr_frames
    uint32_t zero_pfn

cdef inline void plain_entry_init(const machine* m, plain_entry* t) noexcept nogil:
    t.mask[0] = m.hw.fmt.present.mask[0] | m.hw.fmt.special
    t.value[0] = m.hw.fmt.present.value[0]
    t.mask[1] = m.hw.fmt.present.mask[1] | m.hw.fmt.special if m.hw.fmt.present.mask[1] else t.mask[0]
    t.value[1] = m.hw.fmt.present.value[1] if m.hw.fmt.present.mask[1] else t.value[0]
    t.pa_mask = m.hw.fmt.pa_mask
    t.page_shift = m.hw.fmt.page_shift
    t.nr_frames = m.nr_frames
    t.zero_pfn = m.zero_pfn

cdef inline uint32_t entry_pfn(const plain_entry* t, uint64_t e) noexcept nogil:
    return <uint32_t>((e & t.pa_mask) >> t.page_shift)

cdef inline uint32_t plain_pfn(const plain_entry* t, uint64_t e) noexcept nogil:
    """pte_present and vm_normal_page in one: the frame, or 0: take a closer look."""
    cdef uint32_t pfn = entry_pfn(t, e)
    if rm_likely((e & t.mask[0]) == t.value[0] or (e & t.mask[1]) == t.value[1]) and pfn < t.nr_frames and pfn != t.zero_pfn:
        return pfn
    return 0

cdef inline bint is_cow_mapping(uint64_t vm_flags) noexcept nogil:
    return (vm_flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE

cdef inline uint64_t maybe_mkwrite(machine* m, const vm_area_struct* vma, uint64_t e) noexcept nogil:
    return pte_mkwrite(m.hw.fmt, e) if vma.vm_flags & VM_WRITE else e

cdef inline int64_t get_mm_rss(const mm_struct* mm) noexcept nogil:
    """Resident pages."""
    return mm.rss_stat[MM_FILEPAGES] + mm.rss_stat[MM_ANONPAGES]

cdef inline uint64_t get_mm_hiwater_rss(const mm_struct* mm) noexcept nogil:
    # get_mm_counter reads a counter below 0 as 0
    cdef uint64_t rss = <uint64_t>max(mm.rss_stat[MM_FILEPAGES], 0) + <uint64_t>max(mm.rss_stat[MM_ANONPAGES], 0)
    return max(rss, mm.hiwater_rss)

cdef inline void update_hiwater_rss(mm_struct* mm) noexcept nogil:
    """Called before rss drops; nothing tracks the peak while it grows."""
    mm.hiwater_rss = get_mm_hiwater_rss(mm)

cdef inline void update_hiwater_vm(mm_struct* mm) noexcept nogil:
    if mm.hiwater_vm < mm.total_vm:
        mm.hiwater_vm = mm.total_vm

cdef inline void kernel_touch(machine* m, uint32_t pfn, int kind) noexcept nogil:
    """The kernel reads or writes the frame's bytes: only storage keys notice."""
    if m.hw.skey != NULL:
        m.hw.ops.kernel_access(&m.hw, pfn, kind)

cdef inline void clear_user_highpage(machine* m, uint32_t pfn) noexcept nogil:
    kernel_touch(m, pfn, ACCESS_WRITE)
    if m.has_tokens:
        m.token[pfn] = 0

cdef inline void copy_user_highpage(machine* m, uint32_t to, uint32_t source) noexcept nogil:
    kernel_touch(m, source, ACCESS_READ)
    kernel_touch(m, to, ACCESS_WRITE)
    if m.has_tokens:
        m.token[to] = m.token[source]
