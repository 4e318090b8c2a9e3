# SPDX-License-Identifier: GPL-2.0-only
# VMAs: finding, placing, merging, splitting, unmapping. Kernel: mm/mmap.c.
from libc.stdint cimport uint64_t, uint32_t, int64_t
from rmapemu.mm.types cimport machine, mm_struct, vm_area_struct, address_space, anon_vma

cdef enum:                      # MAP_* of <sys/mman.h>
    MAP_SHARED = 0x1
    MAP_PRIVATE = 0x2
    MAP_TYPE = 0xf
    MAP_FIXED = 0x10
    MAP_ANONYMOUS = 0x20
    MAP_GROWSDOWN = 0x100
    MAP_LOCKED = 0x2000
    MAP_NORESERVE = 0x4000
    MAP_POPULATE = 0x8000
    MAP_NONBLOCK = 0x10000

cdef vm_area_struct* find_vma(mm_struct* mm, uint64_t va) noexcept nogil              # first with va < vm_end, or NULL
cdef vm_area_struct* find_vma_prev(mm_struct* mm, uint64_t va, vm_area_struct** prev) noexcept nogil
# address, or -errno. prot: PROT_*, flags: MAP_*
cdef int64_t do_mmap_pgoff(machine* m, mm_struct* mm, address_space* file, uint64_t addr, uint64_t len_bytes,
                           uint64_t prot, uint64_t flags, uint64_t pgoff) noexcept nogil
# do_mmap_pgoff below get_unmapped_area; vm_flags: VM_*
cdef int64_t mmap_region(machine* m, mm_struct* mm, address_space* file, uint64_t addr, uint64_t len_bytes,
                         uint64_t flags, uint64_t vm_flags, uint64_t pgoff) noexcept nogil
cdef int do_munmap(machine* m, mm_struct* mm, uint64_t start, uint64_t len_bytes) noexcept nogil
# under mmap_sem
cdef int64_t sys_mmap_pgoff(machine* m, mm_struct* mm, address_space* file, uint64_t addr, uint64_t len_bytes,
                            uint64_t prot, uint64_t flags, uint64_t pgoff) noexcept nogil
cdef int sys_munmap(machine* m, mm_struct* mm, uint64_t start, uint64_t len_bytes) noexcept nogil
cdef int64_t do_brk(machine* m, mm_struct* mm, uint64_t addr, uint64_t len_bytes) noexcept nogil
cdef int64_t sys_brk(machine* m, mm_struct* mm, uint64_t brk) noexcept nogil
cdef vm_area_struct* vma_merge(machine* m, mm_struct* mm, vm_area_struct* prev, uint64_t addr, uint64_t end,
                               uint64_t vm_flags, anon_vma* av, address_space* file, uint64_t pgoff) noexcept nogil
cdef int vma_adjust(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end, uint64_t pgoff, vm_area_struct* insert) noexcept nogil
cdef int split_vma(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t addr, int new_below) noexcept nogil
# vma is cut to [start, end) for mprotect and mlock: 0, or -ENOMEM with the VMAs as they were
cdef int isolate_range(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil
cdef anon_vma* find_mergeable_anon_vma(machine* m, vm_area_struct* vma) noexcept nogil
cdef int expand_stack(machine* m, vm_area_struct* vma, uint64_t va) noexcept nogil
cdef void exit_mmap(machine* m, mm_struct* mm) noexcept nogil
cdef int insert_vm_struct(machine* m, mm_struct* mm, vm_area_struct* vma) noexcept nogil
cdef uint64_t vm_get_page_prot(machine* m, uint64_t vm_flags) noexcept nogil
cdef bint vma_wants_writenotify(machine* m, vm_area_struct* vma) noexcept nogil
# address, -ENOMEM, -EINVAL
cdef int64_t get_unmapped_area(machine* m, mm_struct* mm, uint64_t addr, uint64_t len_bytes, uint64_t flags) noexcept nogil
cdef int vm_enough_memory(machine* m, mm_struct* mm, uint64_t pages) noexcept nogil     # commits pages: 0; or -ENOMEM
cdef void vm_stat_account(mm_struct* mm, uint64_t vm_flags, address_space* file, int64_t pages) noexcept nogil
# linking a VMA into its mm and file; used by fork and the workbench too
cdef vm_area_struct* vma_alloc(machine* m) noexcept nogil                            # zeroed, with a serial number; NULL
cdef int vma_array_room(machine* m, mm_struct* mm) noexcept nogil                     # 0, -ENOMEM
cdef void vma_array_insert(mm_struct* mm, vm_area_struct* vma) noexcept nogil         # array, list, map_count; there is room
cdef int vma_link(machine* m, mm_struct* mm, vm_area_struct* vma) noexcept nogil      # 0, -ENOMEM
cdef void vma_unlink_file(machine* m, vm_area_struct* vma) noexcept nogil             # unlink_file_vma
