# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# check() of address spaces and anon_vmas: VMAs against each other, every entry against its page and back, chains both ways.
# Kernel: mm/mmap.c (validate_mm), mm/rmap.c. Only what v3.2 guarantees between two operations is asked for.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from rmapemu.hw.format cimport pt_format
from rmapemu.hw.ops cimport tlb_entry
from rmapemu.hw.pte cimport *
from rmapemu.machine.census cimport *
from rmapemu.machine.tables cimport BAD_TABLE_ENTRY, peek_address, walk_tables
from rmapemu.machine.vma cimport vma_at
from rmapemu.mm.kmem cimport kmem_live
from rmapemu.mm.types cimport *


# ---------------------------------------------------------------- VMAs
cdef bint in_arena(machine* m, int kind, const void* p) noexcept nogil:
    """Points at an object of its kind's arena."""
    cdef kmem_cache* k = &m.kmem[kind]
    cdef uint64_t at = <uint64_t>p - <uint64_t>k.base
    return <uint64_t>p > <uint64_t>k.base and at < k.used_bytes and at % k.object_bytes == 0


cdef int vma_chain(census* c, machine* m, vm_area_struct* v) noexcept nogil:
    cdef anon_vma_chain* avc = v.avc_head
    cdef anon_vma_chain* before = NULL
    cdef bint own = v.anon_vma == NULL
    while avc != NULL:
        if not in_arena(m, KMEM_AVC, avc):
            return bad(c, b"its anon_vma_chain list leads outside", ABOUT_VMA, v.serial, 0, 0)
        if avc.vma != v or avc.same_vma_prev != before:
            return bad(c, b"its anon_vma_chain list's links disagree", ABOUT_VMA, v.serial, 0, 0)
        if not in_arena(m, KMEM_ANON_VMA, avc.anon_vma) or c.free_avs[avc.anon_vma - <anon_vma*>m.kmem[KMEM_ANON_VMA].base]:
            return bad(c, b"a chain entry points at a free anon_vma", ABOUT_VMA, v.serial, 0, 0)
        if v.anon_vma != NULL and avc.anon_vma.root != v.anon_vma.root:
            return bad(c, b"anon_vmas of its chain have different roots", ABOUT_VMA, v.serial, avc.anon_vma.root.serial,
                v.anon_vma.root.serial)
        own |= avc.anon_vma == v.anon_vma
        c.chains_vmas += 1
        before = avc
        avc = avc.same_vma_next
    if v.avc_tail != before:
        return bad(c, b"its anon_vma_chain list has another tail", ABOUT_VMA, v.serial, 0, 0)
    return 0 if own else bad(c, b"its anon_vma is not in its chain", ABOUT_VMA, v.serial, v.anon_vma.serial, 0)


cdef int one_vma(census* c, machine* m, mm_struct* mm, uint32_t i) noexcept nogil:
    cdef vm_area_struct* v = mm.vmas[i]
    cdef vm_area_struct* before = mm.vmas[i - 1] if i else NULL
    cdef uint64_t mask = (<uint64_t>1 << m.page_shift) - 1
    if not in_arena(m, KMEM_VMA, v):
        return bad(c, b"its array of VMAs leads outside", ABOUT_PROCESS, mm.pid, i, 0)
    if v.vm_mm != mm:
        return bad(c, b"belongs to another process", ABOUT_VMA, v.serial, v.vm_mm.pid, mm.pid)
    if v.vm_start >= v.vm_end or v.vm_start & mask or v.vm_end & mask:
        return bad(c, b"is empty or not aligned: start, end", ABOUT_VMA, v.serial, <int64_t>v.vm_start, <int64_t>v.vm_end)
    if before != NULL and before.vm_end > v.vm_start:
        return bad(c, b"overlaps the VMA before it: its start, the other's end", ABOUT_VMA, v.serial, <int64_t>v.vm_start,
            <int64_t>before.vm_end)
    if v.vm_prev != before or (before != NULL and before.vm_next != v) or (before == NULL and mm.mmap != v):
        return bad(c, b"list and array of VMAs disagree", ABOUT_VMA, v.serial, 0, 0)
    if i == mm.map_count - 1 and v.vm_next != NULL:
        return bad(c, b"the list of VMAs is longer than map_count", ABOUT_PROCESS, mm.pid, mm.map_count, 0)
    c.vmas += 1
    c.file_vmas += v.vm_file != NULL
    if v.vm_flags & VM_ACCOUNT:
        c.account_pages += (v.vm_end - v.vm_start) >> m.page_shift
    return vma_chain(c, m, v)


cdef int check_vmas(census* c, machine* m, mm_struct* mm) noexcept nogil:
    cdef uint32_t i
    cdef uint64_t total = 0, locked = 0, pages
    if mm.map_count == 0 and mm.mmap != NULL:
        return bad(c, b"a VMA that map_count does not know", ABOUT_PROCESS, mm.pid, 0, 1)
    for i in range(mm.map_count):
        if one_vma(c, m, mm, i):
            return -1
        pages = (mm.vmas[i].vm_end - mm.vmas[i].vm_start) >> m.page_shift
        total += pages
        locked += pages if mm.vmas[i].vm_flags & VM_LOCKED else 0
    if mm.mmap_cache != NULL and (not in_arena(m, KMEM_VMA, mm.mmap_cache) or mm.mmap_cache.vm_mm != mm):
        return bad(c, b"mmap_cache is no VMA of it", ABOUT_PROCESS, mm.pid, 0, 0)
    if mm.total_vm != total:
        return bad(c, b"total_vm", ABOUT_PROCESS, mm.pid, <int64_t>mm.total_vm, <int64_t>total)
    return 0 if mm.locked_vm == locked else bad(c, b"locked_vm", ABOUT_PROCESS, mm.pid, <int64_t>mm.locked_vm, <int64_t>locked)


# ---------------------------------------------------------------- entries
cdef int entry_bad(census* c, mm_struct* mm, uint64_t va, const char* what, int64_t got, int64_t want) noexcept nogil:
    c.pid = mm.pid
    return bad(c, what, ABOUT_ENTRY, va, got, want)


cdef int reachable(census* c, machine* m, mm_struct* mm, vm_area_struct* v, uint64_t va, uint32_t pfn) noexcept nogil:
    """Does the reverse map lead from the page to this entry?"""
    cdef page* p = &m.pages[pfn]
    cdef anon_vma* av = page_anon_vma(m, p)
    cdef anon_vma_chain* avc
    if av != NULL:
        avc = v.avc_head
        while avc != NULL and avc.anon_vma != av:
            avc = avc.same_vma_next
        if avc == NULL:
            return entry_bad(c, mm, va, b"the VMA is not linked to the page's anon_vma: page, anon_vma", pfn, av.serial)
    elif PageKsm(p):
        return 0
    elif page_file_mapping(m, p) == NULL:
        return entry_bad(c, mm, va, b"a mapped page without a mapping: page", pfn, 0)
    elif page_file_mapping(m, p) != v.vm_file:
        return entry_bad(c, mm, va, b"the page is of another file: its file, the VMA's", page_file_mapping(m, p).ino,
            v.vm_file.ino if v.vm_file != NULL else 0)
    elif v.vm_flags & VM_NONLINEAR:
        return 0
    if peek_address(m, pfn, v) != va:
        return entry_bad(c, mm, va, b"the page's index leads to another address: page, that address", pfn, <int64_t>peek_address(m, pfn, v))
    return 0


cdef int swap_entry(census* c, machine* m, mm_struct* mm, uint64_t va, uint64_t entry) noexcept nogil:
    cdef uint32_t t = swp_type(entry)
    if t >= MAX_SWAPFILES:
        if swp_offset(entry) == 0 or swp_offset(entry) >= m.nr_frames:
            return entry_bad(c, mm, va, b"a migration or hwpoison entry of no frame", <int64_t>swp_offset(entry), m.nr_frames)
        if t != SWP_HWPOISON:
            c.rss[MM_ANONPAGES if PageAnon(&m.pages[swp_offset(entry)]) else MM_FILEPAGES] += 1
        return 0
    if t >= m.nr_swapfiles or swp_offset(entry) >= m.swap_info[t].max or swp_offset(entry) == 0:
        return entry_bad(c, mm, va, b"a swap entry of no slot: type, offset", t, <int64_t>swp_offset(entry))
    c.slots[t][swp_offset(entry)] += 1
    c.rss[MM_SWAPENTS] += 1
    return 0


cdef int one_entry(void* ctx, machine* m, mm_struct* mm, uint64_t va, int level, uint64_t e) noexcept nogil:
    cdef census* c = <census*>ctx
    cdef const pt_format* f = m.hw.fmt
    cdef vm_area_struct* v = vma_at(mm, va)
    cdef uint32_t pfn
    if v == NULL:
        return entry_bad(c, mm, va, b"an entry outside of all VMAs", <int64_t>e, 0)
    if level > 0 and pt_matches(&f.level[level].huge, e):
        pfn = <uint32_t>((e & f.level[level].huge_pa_mask) >> m.page_shift)
        if pfn >= m.nr_frames:
            return entry_bad(c, mm, va, b"a huge entry of no frame", pfn, m.nr_frames)
        c.mapped[pfn] += 1
        if not v.vm_flags & VM_HUGETLB:
            c.rss[MM_ANONPAGES] += 1 << (f.level[level].shift - m.page_shift)
        return 0
    if not pte_present(f, e):
        if pte_file(f, e):
            return 0 if v.vm_flags & VM_NONLINEAR else entry_bad(c, mm, va, b"a file entry in a linear VMA", <int64_t>e, 0)
        return swap_entry(c, m, mm, va, pte_to_swp_entry(f, e))
    pfn = pte_pfn(f, e)
    if pfn == 0 or pfn >= m.nr_frames:
        return 0 if v.vm_flags & (VM_PFNMAP | VM_MIXEDMAP) else entry_bad(c, mm, va, b"an entry of no frame", pfn, m.nr_frames)
    if pfn == m.zero_pfn or pte_special(f, e):
        # an s390 PROT_NONE entry has no read-only bit, nor can the MMU use it
        return 0 if not pte_write(f, e) or not pt_matches(&f.valid, e) else entry_bad(c, mm, va, b"the zero page, writable", pfn, 0)
    c.mapped[pfn] += 1
    c.rss[MM_ANONPAGES if PageAnon(&m.pages[pfn]) else MM_FILEPAGES] += 1
    return reachable(c, m, mm, v, va, pfn)


cdef int one_table(void* ctx, machine* m, mm_struct* mm, uint64_t va, int level, uint64_t pa) noexcept nogil:
    (<census*>ctx).leaf_tables += level == 0
    return 0


cdef int check_entries(census* c, machine* m, mm_struct* mm) noexcept nogil:
    cdef int i, r
    c.leaf_tables = 0
    for i in range(NR_MM_COUNTERS):
        c.rss[i] = 0
    r = walk_tables(m, mm, one_entry, one_table, c)
    if r == BAD_TABLE_ENTRY:
        return bad(c, b"an entry above the leaves points at no table", ABOUT_PROCESS, mm.pid, 0, 0)
    if r != 0:
        return -1
    if c.leaf_tables != mm.hw.nr_ptes:
        return bad(c, b"nr_ptes", ABOUT_PROCESS, mm.pid, <int64_t>mm.hw.nr_ptes, <int64_t>c.leaf_tables)
    for i in range(NR_MM_COUNTERS):
        if mm.rss_stat[i] != c.rss[i]:
            return bad(c, b"rss of file pages" if i == MM_FILEPAGES else
                       b"rss of anonymous pages" if i == MM_ANONPAGES else b"swap entries",
                       ABOUT_PROCESS, mm.pid, mm.rss_stat[i], c.rss[i])
    return 0


# ---------------------------------------------------------------- TLB
cdef int tlb_tag(census* c, machine* m, mm_struct* mm, uint64_t vpn, uint32_t pfn, bint store) noexcept nogil:
    """What the TLB serves must be what the tables say, as far as the kernel has to flush."""
    cdef uint64_t va = vpn << m.page_shift
    cdef uint64_t* pte
    if va >= mm.task_size:
        return 0
    pte = m.hw.ops.find_pte(&m.hw, &mm.hw, va)
    if pte == NULL:
        pte = m.hw.ops.find_pmd(&m.hw, &mm.hw, va)
        return 0 if pte != NULL and m.hw.ops.pmd_huge(&m.hw, pte[0]) else entry_bad(c, mm, va, b"in the TLB, but there is no table: page",
            pfn, 0)
    if not pt_matches(&m.hw.fmt.valid, pte[0]) or pte_pfn(m.hw.fmt, pte[0]) != pfn:
        return entry_bad(c, mm, va, b"in the TLB, but the entry maps another page or none: page, entry's", pfn, pte_pfn(m.hw.fmt, pte[0]))
    if store and not pte_write(m.hw.fmt, pte[0]):
        return entry_bad(c, mm, va, b"the TLB lets a store through that the entry forbids: page", pfn, 0)
    return 0


cdef int check_tlb(census* c, machine* m, mm_struct* mm) noexcept nogil:
    cdef uint32_t i, n = <uint32_t>m.hw.fmt.tlb_ways << m.hw.fmt.tlb_sets_lg2
    cdef tlb_entry* t = mm.hw.tlb
    cdef int k
    if t == NULL:
        return 0
    for i in range(n):
        for k in range(2):
            if t[i].tag[k] != <uint64_t>-1 and tlb_tag(c, m, mm, t[i].tag[k], mm.hw.tlb_pfn[i] & 0x7fffffff, k == 1):
                return -1
    return 0


cdef void mark_free_anon_vmas(census* c, machine* m) noexcept nogil:
    cdef kmem_cache* k = &m.kmem[KMEM_ANON_VMA]
    cdef uint64_t at = k.free_head
    while at and not c.free_avs[(at - 1) // sizeof(anon_vma)]:      # freed twice, by a lie of the bench, it is a ring
        c.free_avs[(at - 1) // sizeof(anon_vma)] = 1
        at = (<uint64_t*>(k.base + at - 1 + k.link_bytes))[0]


cdef int check_mms(census* c, machine* m) noexcept nogil:
    cdef mm_struct* mm = <mm_struct*>m.kmem[KMEM_MM].base
    cdef uint64_t i, live = 0, n = m.kmem[KMEM_MM].used_bytes // sizeof(mm_struct)
    mark_free_anon_vmas(c, m)
    for i in range(1, n):
        if not mm[i].in_use:
            continue
        live += 1
        if check_vmas(c, m, &mm[i]) or check_entries(c, m, &mm[i]) or check_tlb(c, m, &mm[i]):
            return -1
        if mm[i].mmap_sem != 0 or mm[i].page_table_lock == LOCK_HELD:
            return bad(c, b"a lock is still held", ABOUT_PROCESS, mm[i].pid, mm[i].mmap_sem, 0)
    if live != m.nr_mms:
        return bad(c, b"live processes", ABOUT_MACHINE, 0, m.nr_mms, <int64_t>live)
    if kmem_live(&m.kmem[KMEM_VMA]) != c.vmas:
        return bad(c, b"live VMAs", ABOUT_MACHINE, 0, <int64_t>kmem_live(&m.kmem[KMEM_VMA]), <int64_t>c.vmas)
    return 0


# ---------------------------------------------------------------- anon_vmas
cdef int one_anon_vma(census* c, machine* m, anon_vma* av, uint32_t* refs) noexcept nogil:
    cdef anon_vma_chain* avc = av.head
    cdef anon_vma_chain* before = NULL
    cdef anon_vma* first = <anon_vma*>m.kmem[KMEM_ANON_VMA].base
    while avc != NULL:
        if not in_arena(m, KMEM_AVC, avc) or avc.anon_vma != av or avc.prev != before:
            return bad(c, b"its list's links disagree", ABOUT_ANON_VMA, av.serial, 0, 0)
        c.chains_anon_vmas += 1
        before = avc
        avc = avc.next
    if av.tail != before:
        return bad(c, b"its list has another tail", ABOUT_ANON_VMA, av.serial, 0, 0)
    if not in_arena(m, KMEM_ANON_VMA, av.root) or c.free_avs[av.root - first]:
        return bad(c, b"its root is free", ABOUT_ANON_VMA, av.serial, 0, 0)
    if av.lock == LOCK_HELD:
        return bad(c, b"its lock is still held", ABOUT_ANON_VMA, av.serial, 1, 0)
    refs[av - first] += av.head != NULL
    if av.root != av:
        refs[av.root - first] += 1
    return 0


cdef int check_anon_vmas(census* c, machine* m) noexcept nogil:
    cdef anon_vma* av = <anon_vma*>m.kmem[KMEM_ANON_VMA].base
    cdef uint64_t i, live = 0, n = m.kmem[KMEM_ANON_VMA].used_bytes // sizeof(anon_vma)
    cdef uint32_t* refs = <uint32_t*>calloc(n + 1, sizeof(uint32_t))
    if refs == NULL:
        return bad(c, b"no host memory for the check", ABOUT_MACHINE, 0, 0, 0)
    for i in range(1, n):
        if not c.free_avs[i]:
            live += 1
            if one_anon_vma(c, m, &av[i], refs):
                free(refs)
                return -1
    for i in range(1, n):
        if not c.free_avs[i] and (av[i].refcount < refs[i] or av[i].refcount == 0 or (c.exact and av[i].refcount > refs[i])):
            bad(c, b"refcount, and its list and the anon_vmas whose root it is", ABOUT_ANON_VMA, av[i].serial, av[i].refcount, refs[i])
            break
    free(refs)
    if c.what != NULL:
        return -1
    if c.chains_vmas != c.chains_anon_vmas:
        return bad(c, b"chain entries of VMAs and of anon_vmas", ABOUT_MACHINE, 0, <int64_t>c.chains_vmas, <int64_t>c.chains_anon_vmas)
    # by hand, entries can be allocated and not linked
    if kmem_live(&m.kmem[KMEM_AVC]) < c.chains_vmas or (c.exact and kmem_live(&m.kmem[KMEM_AVC]) != c.chains_vmas):
        return bad(c, b"live chain entries", ABOUT_MACHINE, 0, <int64_t>kmem_live(&m.kmem[KMEM_AVC]), <int64_t>c.chains_vmas)
    if m.slab_reuse and kmem_live(&m.kmem[KMEM_ANON_VMA]) != live:
        return bad(c, b"live anon_vmas", ABOUT_MACHINE, 0, <int64_t>kmem_live(&m.kmem[KMEM_ANON_VMA]), <int64_t>live)
    return 0
