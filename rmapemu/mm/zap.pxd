# SPDX-License-Identifier: GPL-2.0-only
# Unmapping. Kernel: mm/memory.c (unmap_vmas, zap_page_range, unmap_mapping_range, free_pgtables), asm-generic/tlb.h.
from libc.stdint cimport uint64_t
from rmapemu.mm.types cimport machine, mm_struct, vm_area_struct, address_space

cdef struct mmu_gather:         # one unmapping of a range of one mm
    mm_struct* mm
    bint fullmm                 # the whole address space goes (exit)
    bint flushed                # its TLB flush is done: nothing runs in between, so one before the first frame is let go serves all

cdef struct zap_details:
    address_space* check_mapping    # only pages of this file (no private copies); NULL: any
    vm_area_struct* nonlinear_vma   # leave a file entry where a page was out of its linear place; NULL: leave none
    uint64_t first_index        # page offsets, looked at with nonlinear_vma
    uint64_t last_index

cdef void tlb_gather_mmu(mmu_gather* tlb, mm_struct* mm, bint fullmm) noexcept nogil
cdef void tlb_finish_mmu(machine* m, mmu_gather* tlb) noexcept nogil
# All VMAs from `vma` on in [start, end). Returns the pages of VM_ACCOUNT among them (nr_accounted). details may be NULL.
cdef uint64_t unmap_vmas(machine* m, mmu_gather* tlb, vm_area_struct* vma, uint64_t start, uint64_t end,
                         zap_details* details) noexcept nogil
# A range that may span VMAs, `vma` the first, with its own gather and update_hiwater_rss (zap_page_range of the kernel).
cdef void zap_vma_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end, zap_details* details) noexcept nogil
cdef void zap_page_range(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil     # the same without details
# Page offsets, last included; even_cows: private copies of the file's pages too (truncation).
cdef void unmap_mapping_range(machine* m, address_space* a, uint64_t first, uint64_t last, bint even_cows) noexcept nogil
# Of a detached list, up to its end; unlinks anon_vmas and files first, so that the reverse map no longer finds them.
cdef void free_pgtables(machine* m, vm_area_struct* vma, uint64_t floor, uint64_t ceiling) noexcept nogil
