# SPDX-License-Identifier: GPL-2.0-only
# What check() counts by itself, to compare with what the machine counted, and where it notes the first contradiction.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from rmapemu.mm.types cimport *

cdef enum:                      # what a finding is about; check.pyx has the names in this order
    ABOUT_MACHINE = 0
    ABOUT_PAGE
    ABOUT_PROCESS
    ABOUT_VMA
    ABOUT_ANON_VMA
    ABOUT_FILE
    ABOUT_SLOT                  # swap slot: type << 32 | offset
    ABOUT_ENTRY                 # pid << 64 bits are not there: the id is the address, `pid` the process

cdef struct census:
    const char* what            # first contradiction; NULL: none
    int about
    uint64_t id
    uint32_t pid
    int64_t got, want
    uint32_t nr_frames
    uint32_t* mapped            # by pfn: entries that map it
    uint32_t* listed            # by pfn: 1 + lru_list that has it
    uint8_t* cached             # by pfn: references of page cache and swap cache
    uint32_t** slots            # by swap type, by offset: entries that name it
    uint8_t** shmem_slots       # by swap type, by offset: slots in the trees of shmem files
    uint8_t* free_avs           # by number: the anon_vma is free
    int64_t rss[3]              # of the mm at hand, by MM_* counter
    uint64_t leaf_tables        # of the mm at hand
    uint64_t table_frames       # of all mms, as fractions: units of one page table
    uint64_t chains_vmas, chains_anon_vmas      # anon_vma_chains counted from either side
    bint exact                  # nothing was built by hand: references are exactly those that are found
    uint64_t vmas, files, account_pages, file_vmas

cdef inline int bad(census* c, const char* what, int about, uint64_t id, int64_t got, int64_t want) noexcept nogil:
    """Notes a contradiction and returns -1."""
    c.what = what
    c.about = about
    c.id = id
    c.got = got
    c.want = want
    return -1

cdef int census_init(census* c, machine* m) noexcept nogil      # 0, -ENOMEM
cdef void census_free(census* c, machine* m) noexcept nogil
# Each 0, or -1 with the finding noted. After those of census_mm and census_files, for they need what these counted.
cdef int check_lists(census* c, machine* m) noexcept nogil          # LRU lists, free blocks
cdef int check_frames(census* c, machine* m) noexcept nogil         # mapcount, count, zone counters
