# SPDX-License-Identifier: GPL-2.0-only
# The bare loops of timing.pyx: what an operation cannot do without. Kernel: none.
from libc.string cimport memset
from rmapemu.hw.format cimport pt_format
from rmapemu.hw.pte cimport pte_present
from rmapemu.mm.anon_vma cimport anon_vma_fork, unlink_anon_vmas
from rmapemu.mm.kmem cimport kmem_cache_free, kmem_cache_zalloc

cdef extern from "time.h" nogil:
    cdef struct timespec:
        long tv_sec, tv_nsec
    int clock_gettime(int, timespec*)
    const int CLOCK_THREAD_CPUTIME_ID

cdef extern from "sys/mman.h" nogil:
    void* mmap(void*, size_t, int, int, int, long)
    int munmap(void*, size_t)
    const int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE

cdef double now() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t)
    return t.tv_sec + t.tv_nsec * 1e-9


cdef enum:
    CLUSTER = 32                # entries that try_to_unmap_cluster looks at

cdef struct node_t:             # the size of an anon_vma_chain, on two lists like one
    node_t* next
    node_t* prev
    node_t* other_next
    node_t* other_prev
    void* owner
    void* list


# ---------------------------------------------------------------- entries of a table, from the top
cdef int walk_entries(machine* m, mm_struct* mm, uint64_t va, uint64_t** out) noexcept nogil:
    """The entry of each level on the way to a mapped address: how many."""
    cdef const pt_format* f = m.hw.fmt
    cdef uint64_t pa = mm.hw.root
    cdef uint64_t* e
    cdef int n = 0
    cdef int i
    for i in range(mm.hw.levels - 1, -1, -1):
        e = <uint64_t*>(m.hw.base + pa) + ((va >> f.level[i].shift) & ((<uint64_t>1 << f.level[i].index_bits) - 1))
        out[n] = e
        n += 1
        pa = e[0] & f.level[i].table_pa_mask
    return n


cdef uint64_t* leaf_entry(machine* m, mm_struct* mm, uint64_t va) noexcept nogil:
    cdef uint64_t* e[8]
    return e[walk_entries(m, mm, va, e) - 1]


# ---------------------------------------------------------------- one load per structure of a walk
cdef uint8_t* shadow_of(const machine* m) noexcept nogil:
    """As much address space as the machine's reservation; NULL: there is none."""
    cdef void* p = mmap(NULL, m.arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    return NULL if p == <void*>-1 else <uint8_t*>p


cdef void** mirror(machine* m, uint8_t* shadow, void* p) noexcept nogil:
    return <void**>(shadow + (<uint8_t*>p - m.arena_base))


cdef void** link_chase(machine* m, uint8_t* shadow, uint32_t pfn, uint64_t* vmas) noexcept nogil:
    """A ring through the shadows of what a walk touches, in its order."""
    cdef anon_vma_chain* avc = page_anon_vma(m, &m.pages[pfn]).head
    cdef uint64_t* entry[8]
    cdef void** first = mirror(m, shadow, avc)
    cdef void** at = first
    cdef void** next
    cdef vm_area_struct* vma
    cdef int i, n
    memset(entry, 0, sizeof(entry))
    while avc != NULL:
        vma = avc.vma
        vmas[0] += 1
        next = mirror(m, shadow, avc)
        if next != first:
            at[0] = next
        at = next
        at[0] = mirror(m, shadow, vma)
        at = <void**>at[0]
        at[0] = mirror(m, shadow, vma.vm_mm)
        at = <void**>at[0]
        n = walk_entries(m, vma.vm_mm, vma.vm_start + ((m.pages[pfn].index - vma.vm_pgoff) << m.page_shift), entry)
        for i in range(n):
            at[0] = mirror(m, shadow, entry[i])
            at = <void**>at[0]
        avc = avc.next
    at[0] = first
    return first


# ---------------------------------------------------------------- list nodes, clusters
cdef double time_nodes(node_t* room, int nodes, int rounds) noexcept nogil:
    cdef node_t* free_list = NULL
    cdef node_t* n
    cdef node_t* last[64]
    cdef node_t* head
    cdef double t
    cdef int64_t i
    cdef int _round, k
    for i in range(<int64_t>nodes * rounds):
        room[i].next = free_list
        free_list = &room[i]
    for k in range(64):
        last[k] = NULL
    t = now()
    for _round in range(rounds):
        head = NULL
        for k in range(nodes):
            n = free_list
            free_list = n.next
            n.owner = room
            n.list = last
            # to the head of one list, to the tail of another
            n.other_next = head
            n.other_prev = NULL
            if head != NULL:
                head.other_prev = n
            head = n
            n.next = NULL
            n.prev = last[k & 63]
            if n.prev != NULL:
                n.prev.next = n
            last[k & 63] = n
    return now() - t


cdef uint64_t bare_scan(machine* m, vm_area_struct* v) noexcept nogil:
    cdef const pt_format* f = m.hw.fmt
    cdef uint64_t va = v.vm_start
    cdef uint64_t present = 0, pa, clusters = 0
    cdef uint64_t* e = NULL
    cdef uint32_t lock = 0
    cdef int i
    while va < v.vm_end:
        pa = v.vm_mm.hw.root
        for i in range(v.vm_mm.hw.levels - 1, -1, -1):
            e = <uint64_t*>(m.hw.base + pa) + ((va >> f.level[i].shift) & ((<uint64_t>1 << f.level[i].index_bits) - 1))
            if i:
                pa = e[0] & f.level[i].table_pa_mask
        if v.vm_mm.mmap_sem == 0:
            lock += 1
        for i in range(CLUSTER):
            present += pte_present(f, e[i])
        va += <uint64_t>CLUSTER << f.page_shift
        clusters += 1
    return clusters if present == 0 and lock == clusters else 0


# ---------------------------------------------------------------- what list nodes are the floor of
cdef double time_forks(machine* m, vm_area_struct* parent, int children, int64_t* entries) noexcept nogil:
    cdef vm_area_struct* child
    cdef vm_area_struct* made = NULL
    cdef anon_vma_chain* avc
    cdef double t
    cdef int _n
    for _n in range(children):
        child = <vm_area_struct*>kmem_cache_zalloc(m, KMEM_VMA, GFP_KERNEL)
        if child == NULL:
            return -1
        child.vm_mm = parent.vm_mm
        child.vm_start = parent.vm_start
        child.vm_end = parent.vm_end
        child.vm_pgoff = parent.vm_pgoff
        child.vm_next = made
        made = child
    t = now()
    child = made
    while child != NULL:
        anon_vma_fork(m, child, parent)
        child = child.vm_next
    t = now() - t
    while made != NULL:
        avc = made.avc_head
        while avc != NULL:
            entries[0] += 1
            avc = avc.same_vma_next
        unlink_anon_vmas(m, made)
        child = made.vm_next
        kmem_cache_free(m, KMEM_VMA, made)
        made = child
    return t
