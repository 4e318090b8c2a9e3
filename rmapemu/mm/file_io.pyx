# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# read(2) and write(2), page by page through the page cache.
# Kernel: mm/filemap.c (do_generic_file_read, generic_perform_write), mm/shmem.c (do_shmem_file_read, shmem_write_begin, _end).
# Differs: the user's buffer is not looked at; each call marks each page that it touches once; no throttling of writers.
from libc.errno cimport ENOMEM
from libc.stdint cimport int64_t, uint32_t, uint64_t
from rmapemu.hw.ops cimport ACCESS_READ, ACCESS_WRITE
from rmapemu.mm.filemap cimport (SetPageUptodate, add_to_page_cache_lru, find_lock_page, read_cache_page)
from rmapemu.mm.lock cimport *
from rmapemu.mm.memory cimport clear_user_highpage, kernel_touch
from rmapemu.mm.page_alloc cimport alloc_pages, put_page
from rmapemu.mm.page_writeback cimport disk_read, set_page_dirty
from rmapemu.mm.shmem cimport SGP_READ, SGP_WRITE, shmem_getpage_gfp
from rmapemu.mm.swap_lru cimport mark_page_accessed
from rmapemu.mm.types cimport *


cdef int read_page(machine* m, address_space* a, uint64_t index, bint from_start) noexcept nogil:
    """One page of a file into the user's buffer: 0, -errno."""
    cdef uint32_t pfn = 0
    cdef int error = 0
    if a.kind == FILE_SHMEM:
        error = shmem_getpage_gfp(m, a, index, &pfn, SGP_READ, GFP_HIGHUSER_MOVABLE, NULL)
        if error or pfn == 0:           # a hole reads as the zero page
            return error
        unlock_page(m, pfn)
    else:
        pfn = read_cache_page(m, a, index, &error)
        if pfn == 0:
            return error
    if from_start or a.kind == FILE_REGULAR:
        mark_page_accessed(m, pfn)
    kernel_touch(m, pfn, ACCESS_READ)
    put_page(m, pfn)
    return 0


cdef int64_t generic_file_read(machine* m, address_space* a, uint64_t pos, uint64_t bytes) noexcept nogil:
    cdef uint64_t mask = (<uint64_t>1 << m.page_shift) - 1
    cdef uint64_t end, index
    cdef int64_t done = 0
    cdef int error
    if pos >= a.i_size or bytes == 0:
        return 0
    end = a.i_size if bytes > a.i_size - pos else pos + bytes
    for index in range(pos >> m.page_shift, ((end - 1) >> m.page_shift) + 1):
        error = read_page(m, a, index, done > 0 or pos & mask == 0)
        if error:
            return done if done else error
        done += 1
    return done


cdef uint32_t grab_cache_page_write_begin(machine* m, address_space* a, uint64_t index) noexcept nogil:
    """The page, locked and referenced, new where there was none; 0: -ENOMEM."""
    cdef uint32_t pfn = find_lock_page(m, a, index)
    if pfn:
        return pfn
    pfn = alloc_pages(m, GFP_HIGHUSER_MOVABLE, 0)
    if pfn and add_to_page_cache_lru(m, pfn, a, index, GFP_KERNEL):
        put_page(m, pfn)
        return 0
    return pfn


cdef int write_begin(machine* m, address_space* a, uint64_t pos, uint64_t bytes, uint32_t* pfn) noexcept nogil:
    """The page to write to, locked; what the write leaves of its old content has been read or cleared."""
    cdef uint64_t page_bytes = <uint64_t>1 << m.page_shift
    cdef uint64_t index = pos >> m.page_shift
    if a.kind == FILE_SHMEM:
        return shmem_getpage_gfp(m, a, index, pfn, SGP_WRITE, GFP_HIGHUSER_MOVABLE, NULL)
    pfn[0] = grab_cache_page_write_begin(m, a, index)
    if pfn[0] == 0:
        return -ENOMEM
    if not m.pages[pfn[0]].flags & PG_uptodate and bytes < page_bytes:
        if index << m.page_shift < a.i_size:
            disk_read(m, a, pfn[0], index)
            SetPageUptodate(m, pfn[0])
        else:
            clear_user_highpage(m, pfn[0])
    return 0


cdef void write_end(machine* m, address_space* a, uint64_t end, uint32_t pfn) noexcept nogil:
    if a.kind == FILE_REGULAR:
        SetPageUptodate(m, pfn)
    if end > a.i_size:
        a.i_size = end
    set_page_dirty(m, pfn)
    unlock_page(m, pfn)
    put_page(m, pfn)


cdef int write_page(machine* m, address_space* a, uint64_t pos, uint64_t bytes, uint64_t token) noexcept nogil:
    """A write that stays within a page: 0, -errno."""
    cdef uint32_t pfn = 0
    cdef int error = write_begin(m, a, pos, bytes, &pfn)
    if error:
        return error
    kernel_touch(m, pfn, ACCESS_WRITE)
    if m.has_tokens:
        m.token[pfn] = token
    mark_page_accessed(m, pfn)
    write_end(m, a, pos + bytes, pfn)
    return 0


cdef int64_t generic_file_write(machine* m, address_space* a, uint64_t pos, uint64_t bytes, uint64_t token) noexcept nogil:
    cdef uint64_t page_bytes = <uint64_t>1 << m.page_shift
    cdef uint64_t part
    cdef int64_t done = 0
    cdef int error = 0
    if token:
        m.has_tokens = 1
    spin_lock(m, LOCK_I_MUTEX)
    while bytes:
        part = page_bytes - (pos & (page_bytes - 1))
        if part > bytes:
            part = bytes
        error = write_page(m, a, pos, part, token)
        if error:
            break
        done += 1
        pos += part
        bytes -= part
    spin_unlock(m, LOCK_I_MUTEX)
    return done if done else error
