# SPDX-License-Identifier: GPL-2.0-only
# The reverse map's functions as operations (op_t): a[0] a pfn, a[1] a VMA or mm, a[2] an address, flags or another VMA;
# what comes back beside the result goes to a[3] and a[4].
from libc.stdint cimport int64_t, uint64_t
from rmapemu.mm.types cimport machine

cdef int64_t op_vma_address(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_page_address_in_vma(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_check_address(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_check_address_pmd(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_page_mapped_in_vma(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_temporary_stack(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_referenced(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_referenced_anon(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_referenced_file(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_referenced_ksm(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_referenced_one(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_mkclean(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_mkclean_one(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_mkclean_file(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_set_anon(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_set_anon_exclusive(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_huge_set_anon(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_huge_set_anon_exclusive(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_check_anon(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_add_anon(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_add_new_anon(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_do_add_anon(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_do_add_anon_exclusive(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_move_anon(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_huge_add_anon(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_huge_add_new(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_add_file(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_dup(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_remove_rmap(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_unmap(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_unmap_anon(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_unmap_file(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_unmap_ksm(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_unmap_one(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_unmap_cluster(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_munlock(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_walk(machine* m, const uint64_t* a) noexcept nogil      # a[2]: the tuple (Machine, Page, function, (arg,) or ())
cdef int64_t op_walk_anon(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_walk_file(machine* m, const uint64_t* a) noexcept nogil
cdef int64_t op_walk_ksm(machine* m, const uint64_t* a) noexcept nogil
