# SPDX-License-Identifier: GPL-2.0-only
# Growing, shrinking, merging and splitting VMAs, and whose anon_vma a VMA may share.
# Kernel: mm/mmap.c (vma_adjust, vma_merge, split_vma, find_mergeable_anon_vma). No memory policies; no uprobes.

cdef inline bint chain_is_singular(const vm_area_struct* vma) noexcept nogil:
    return vma.avc_head != NULL and vma.avc_head == vma.avc_tail


cdef inline uint64_t vma_pages(machine* m, const vm_area_struct* vma) noexcept nogil:
    return (vma.vm_end - vma.vm_start) >> m.page_shift


cdef inline void forget_leaf(vm_area_struct* vma) noexcept nogil:
    vma.leaf.key = ~<uint64_t>0


# ---------------------------------------------------------------- vma_adjust
cdef struct adjustment:         # what vma_adjust is about to do to the next VMA
    vm_area_struct* importer    # takes pages over from the other; NULL: neither does
    int remove_next             # 0; 1: next goes; 2: so does the one after it
    int64_t adjust_next         # pages by which next's start moves
    uint64_t end
    bint early                  # the importer got its anon_vma one round before it takes pages over


cdef int plan_adjust(machine* m, vm_area_struct* vma, vm_area_struct* next, uint64_t end, adjustment* a) noexcept nogil:
    """Who takes pages from whom, and an anon_vma with them: 0, -ENOMEM."""
    cdef vm_area_struct* exporter = NULL
    a.importer = NULL
    a.remove_next = 0
    a.adjust_next = 0
    a.end = end
    a.early = False
    if end >= next.vm_end:
        a.remove_next = 2 if end > next.vm_end else 1
        a.end = next.vm_end
        exporter = next
        a.importer = vma
        if a.remove_next == 2 and next.anon_vma == NULL:
            # the second round must not fail: next is gone by then (v3.2 fails there, and its callers go on with freed memory)
            exporter = next.vm_next
            a.early = vma.anon_vma == NULL
    elif end > next.vm_start:
        a.adjust_next = (end - next.vm_start) >> m.page_shift
        exporter = next
        a.importer = vma
    elif end < vma.vm_end:
        a.adjust_next = -<int64_t>((vma.vm_end - end) >> m.page_shift)
        exporter = vma
        a.importer = next
    if exporter != NULL and exporter.anon_vma != NULL and a.importer.anon_vma == NULL:
        if anon_vma_clone(m, a.importer, exporter):
            return -ENOMEM
        a.importer.anon_vma = exporter.anon_vma
    return 0


cdef void move_bounds(machine* m, vm_area_struct* vma, vm_area_struct* next, uint64_t start, uint64_t pgoff, adjustment* a) noexcept nogil:
    cdef address_space* tree = vma.vm_file
    if tree != NULL and vma.vm_flags & VM_NONLINEAR:
        tree = NULL
    if tree != NULL:
        vma_prio_tree_remove(tree, vma)
        if a.adjust_next:
            vma_prio_tree_remove(tree, next)
    vma.vm_start = start
    vma.vm_end = a.end
    vma.vm_pgoff = pgoff
    forget_leaf(vma)
    if a.adjust_next:
        next.vm_start += <uint64_t>a.adjust_next << m.page_shift
        next.vm_pgoff += a.adjust_next
        forget_leaf(next)
    if tree != NULL:
        if a.adjust_next:
            vma_prio_tree_insert(tree, next)
        vma_prio_tree_insert(tree, vma)


cdef void swallow_next(machine* m, vm_area_struct* vma, vm_area_struct* next) noexcept nogil:
    """The rest of removing next, once it is out of every list: its file, its chain, its memory."""
    if next.vm_file != NULL:
        file_put(m, next.vm_file)
    if next.anon_vma != NULL:
        VM_BUG_ON(m, vma.anon_vma != NULL and vma.anon_vma != next.anon_vma,
                  b"vma->anon_vma && vma->anon_vma != next->anon_vma", b"anon_vma_merge")
        unlink_anon_vmas(m, next)
    kmem_cache_free(m, KMEM_VMA, next)


cdef void apply_adjust(machine* m, vm_area_struct* vma, vm_area_struct* next, uint64_t start, uint64_t pgoff, vm_area_struct* insert,
                       adjustment* a) noexcept nogil:
    cdef mm_struct* mm = vma.vm_mm
    cdef address_space* file = vma.vm_file
    cdef anon_vma* av = NULL
    cdef uint32_t i = vma_index(mm, vma.vm_start)
    if file != NULL:
        i_mmap_lock(m, file)
        if insert != NULL:
            link_file_locked(file, insert)
    # a walk may see a new end at any time, but a new start only with its pgoff
    if vma.anon_vma != NULL and not a.early and (a.importer != NULL or start != vma.vm_start):
        av = vma.anon_vma
        anon_vma_lock(m, av)
    move_bounds(m, vma, next, start, pgoff, a)
    if a.remove_next:
        vma_array_remove(mm, next, i + 1)
        if file != NULL:
            unlink_file_locked(file, next)
    elif insert != NULL:
        vma_array_insert(mm, insert)
    if av != NULL:
        anon_vma_unlock(m, av)
    if file != NULL:
        i_mmap_unlock(m, file)
    if a.remove_next:
        swallow_next(m, vma, next)


cdef int vma_adjust(machine* m, vm_area_struct* vma, uint64_t start, uint64_t end, uint64_t pgoff, vm_area_struct* insert) noexcept nogil:
    cdef vm_area_struct* next = vma.vm_next
    cdef adjustment a
    while True:
        a.importer = NULL
        a.remove_next = 0
        a.adjust_next = 0
        a.end = end
        a.early = False
        if next != NULL and insert == NULL and plan_adjust(m, vma, next, end, &a):
            return -ENOMEM
        apply_adjust(m, vma, next, start, pgoff, insert, &a)
        if a.remove_next != 2:
            return 0
        next = vma.vm_next


# ---------------------------------------------------------------- vma_merge
cdef bint is_mergeable_anon_vma(anon_vma* one, anon_vma* two, vm_area_struct* vma) noexcept nogil:
    """A VMA cloned from a parent (a chain of several) keeps apart: less to walk for its pages."""
    if (one == NULL or two == NULL) and (vma == NULL or chain_is_singular(vma)):
        return True
    return one == two


cdef bint is_mergeable_vma(vm_area_struct* vma, address_space* file, uint64_t vm_flags) noexcept nogil:
    return ((vma.vm_flags ^ vm_flags) & ~<uint64_t>VM_CAN_NONLINEAR) == 0 and vma.vm_file == file


cdef bint can_vma_merge_before(vm_area_struct* vma, uint64_t vm_flags, anon_vma* av, address_space* file, uint64_t pgoff) noexcept nogil:
    return is_mergeable_vma(vma, file, vm_flags) and is_mergeable_anon_vma(av, vma.anon_vma, vma) and vma.vm_pgoff == pgoff


cdef bint can_vma_merge_after(machine* m, vm_area_struct* vma, uint64_t vm_flags, anon_vma* av, address_space* file,
                              uint64_t pgoff) noexcept nogil:
    if not is_mergeable_vma(vma, file, vm_flags) or not is_mergeable_anon_vma(av, vma.anon_vma, vma):
        return False
    return vma.vm_pgoff + vma_pages(m, vma) == pgoff


cdef vm_area_struct* vma_merge(machine* m, mm_struct* mm, vm_area_struct* prev, uint64_t addr, uint64_t end,
                               uint64_t vm_flags, anon_vma* av, address_space* file, uint64_t pgoff) noexcept nogil:
    cdef uint64_t pages = (end - addr) >> m.page_shift
    cdef vm_area_struct* area = prev.vm_next if prev != NULL else mm.mmap
    cdef vm_area_struct* next = area
    cdef bint before
    if vm_flags & (VM_IO | VM_DONTEXPAND | VM_RESERVED | VM_PFNMAP):
        return NULL
    if next != NULL and next.vm_end == end:
        next = next.vm_next
    before = next != NULL and next.vm_start == end and can_vma_merge_before(next, vm_flags, av, file, pgoff + pages)
    if prev != NULL and prev.vm_end == addr and can_vma_merge_after(m, prev, vm_flags, av, file, pgoff):
        if before and is_mergeable_anon_vma(prev.anon_vma, next.anon_vma, NULL):
            end = next.vm_end
        return NULL if vma_adjust(m, prev, prev.vm_start, end, prev.vm_pgoff, NULL) else prev
    if not before:
        return NULL
    if prev != NULL and addr < prev.vm_end:
        return NULL if vma_adjust(m, prev, prev.vm_start, addr, prev.vm_pgoff, NULL) else area
    return NULL if vma_adjust(m, area, addr, next.vm_end, next.vm_pgoff - pages, NULL) else area


# ---------------------------------------------------------------- split_vma
cdef int __split_vma(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t addr, int new_below) noexcept nogil:
    cdef vm_area_struct* new
    cdef uint64_t offset_pages = (addr - vma.vm_start) >> m.page_shift
    if vma.vm_flags & VM_HUGETLB and addr & ((<uint64_t>1 << m.hw.fmt.level[1].shift) - 1):
        return -EINVAL
    if vma_array_room(m, mm):
        return -ENOMEM
    new = vma_alloc(m)
    if new == NULL:
        return -ENOMEM
    new.vm_mm = mm
    new.vm_start = vma.vm_start if new_below else addr
    new.vm_end = addr if new_below else vma.vm_end
    new.vm_pgoff = vma.vm_pgoff if new_below else vma.vm_pgoff + offset_pages
    new.vm_flags = vma.vm_flags
    new.vm_page_prot = vma.vm_page_prot
    new.vm_private_data = vma.vm_private_data
    new.vm_file = vma.vm_file
    new.anon_vma = vma.anon_vma
    if anon_vma_clone(m, new, vma):
        kmem_cache_free(m, KMEM_VMA, new)
        return -ENOMEM
    if new.vm_file != NULL:
        new.vm_file.refs += 1
    if new_below:
        return vma_adjust(m, vma, addr, vma.vm_end, vma.vm_pgoff + offset_pages, new)
    return vma_adjust(m, vma, vma.vm_start, addr, vma.vm_pgoff, new)


cdef void unsplit_vma(machine* m, vm_area_struct* vma, vm_area_struct* new) noexcept nogil:
    """Undoes a split that served nothing: the caller's second one failed. The new half goes, so that vma keeps its place in every list."""
    cdef uint64_t pgoff = min(vma.vm_pgoff, new.vm_pgoff)
    vma_unlink_file(m, new)
    vma_array_remove(vma.vm_mm, new, vma_index(vma.vm_mm, new.vm_start))
    vma_adjust(m, vma, min(vma.vm_start, new.vm_start), max(vma.vm_end, new.vm_end), pgoff, NULL)
    swallow_next(m, vma, new)


cdef int isolate_range(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t start, uint64_t end) noexcept nogil:
    """Splits vma so that it covers [start, end) and nothing else (mprotect, mlock): 0, or -ENOMEM with no split left."""
    cdef bint cut = start != vma.vm_start
    if cut and split_vma(m, mm, vma, start, 1):
        return -ENOMEM
    if end == vma.vm_end or split_vma(m, mm, vma, end, 0) == 0:
        return 0
    if cut:
        unsplit_vma(m, vma, vma.vm_prev)
    return -ENOMEM


cdef int split_vma(machine* m, mm_struct* mm, vm_area_struct* vma, uint64_t addr, int new_below) noexcept nogil:
    if mm.map_count >= m.sysctl.max_map_count:
        return -ENOMEM
    return __split_vma(m, mm, vma, addr, new_below)


# ---------------------------------------------------------------- find_mergeable_anon_vma
cdef bint anon_vma_compatible(machine* m, vm_area_struct* a, vm_area_struct* b) noexcept nogil:
    """Neighbours that mprotect may make one again."""
    if a.vm_end != b.vm_start or a.vm_file != b.vm_file:
        return False
    if (a.vm_flags ^ b.vm_flags) & ~<uint64_t>(VM_READ | VM_WRITE | VM_EXEC):
        return False
    return b.vm_pgoff == a.vm_pgoff + vma_pages(m, a)


cdef anon_vma* find_mergeable_anon_vma(machine* m, vm_area_struct* vma) noexcept nogil:
    cdef vm_area_struct* near = vma.vm_next
    if near != NULL and anon_vma_compatible(m, vma, near) and near.anon_vma != NULL and chain_is_singular(near):
        return near.anon_vma
    near = vma.vm_prev
    if near != NULL and anon_vma_compatible(m, near, vma) and near.anon_vma != NULL and chain_is_singular(near):
        return near.anon_vma
    return NULL
