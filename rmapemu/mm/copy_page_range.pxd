# SPDX-License-Identifier: GPL-2.0-only
# Fork's copying of entries. Kernel: mm/memory.c (copy_page_range, copy_pte_range, copy_one_pte).
from rmapemu.mm.types cimport machine, mm_struct, vm_area_struct

# 0, or -ENOMEM with what was copied so far left in dst (its exit drops it). The caller flushes src's TLB (dup_mmap).
cdef int copy_page_range(machine* m, mm_struct* dst, mm_struct* src, vm_area_struct* vma, vm_area_struct* dst_vma) noexcept nogil
