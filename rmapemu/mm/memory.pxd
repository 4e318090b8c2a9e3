# SPDX-License-Identifier: GPL-2.0-only
# Faults, fork's copying and zapping. Kernel: mm/memory.c.
from libc.stdint cimport uint64_t, uint32_t, int64_t
from rmapemu.hw.ops cimport addr_space
from rmapemu.mm.types cimport machine, mm_struct, vm_area_struct, address_space

cdef enum:                      # what do_page_fault hands to the access loop beside -ENOMEM (out of memory) and -EINTR (Ctrl-C)
    FAULT_SIGSEGV_MAPERR = -1001    # no mapping there
    FAULT_SIGSEGV_ACCERR = -1002    # not permitted
    FAULT_SIGBUS_ADRERR = -1003     # past the end of the file
    FAULT_SIGBUS_HWPOISON = -1004
    FAULT_WOULD_BLOCK = -1005       # a migration entry

cdef int do_page_fault(void* ctx, addr_space* s, uint64_t va, int kind, uint64_t* pte) noexcept nogil    # hw's fault_t: mmap_sem, find_vma, stack growth, permission, handle_mm_fault, OOM
cdef int handle_mm_fault(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t va, int kind, uint64_t* pte) noexcept nogil
cdef uint32_t vm_normal_page(machine* m, vm_area_struct* vma, uint64_t va, uint64_t e) noexcept nogil     # pfn, or 0: none (zero page, special)
cdef int copy_page_range(machine* m, mm_struct* dst, mm_struct* src, vm_area_struct* vma, vm_area_struct* dst_vma) noexcept nogil   # 0, -ENOMEM
cdef void zap_page_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil   # unmap_page_range + tlb_finish_mmu of one VMA
cdef void unmap_mapping_range(machine* m, address_space* a, uint64_t first, uint64_t last, bint even_cows) noexcept nogil    # page offsets, last included
cdef void free_pgtables(machine* m, vm_area_struct* vma, uint64_t floor, uint64_t ceiling) noexcept nogil  # of a detached list; unlinks anon_vmas and files first, as v3.2
