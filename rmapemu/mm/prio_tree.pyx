# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# The VMAs of a file by page offset: a treap over (vm_pgoff, insertion) whose nodes know the last page of their subtree.
# Kernel: mm/prio_tree.c (vma_prio_tree_insert, _add, _remove, vma_prio_tree_foreach) and the i_mmap_nonlinear list.
# Differs: the order of VMAs that cover an offset, as fidelity.md declares. The links are in the VMAs: nothing is allocated.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.mm.types cimport address_space, vm_area_struct


cdef inline uint64_t last_page(const address_space* a, const vm_area_struct* v) noexcept nogil:
    return v.vm_pgoff + ((v.vm_end - v.vm_start) >> a.page_shift) - 1


cdef inline bint before(const vm_area_struct* x, const vm_area_struct* y) noexcept nogil:
    return x.vm_pgoff < y.vm_pgoff or (x.vm_pgoff == y.vm_pgoff and x.i_seq < y.i_seq)


cdef void update(const address_space* a, vm_area_struct* v) noexcept nogil:
    cdef uint64_t last = last_page(a, v)
    if v.i_left != NULL and v.i_left.i_last > last:
        last = v.i_left.i_last
    if v.i_right != NULL and v.i_right.i_last > last:
        last = v.i_right.i_last
    v.i_last = last


cdef void update_upwards(const address_space* a, vm_area_struct* v) noexcept nogil:
    while v != NULL:
        update(a, v)
        v = v.i_parent


cdef void replace_child(address_space* a, vm_area_struct* parent, vm_area_struct* old, vm_area_struct* new) noexcept nogil:
    if parent == NULL:
        a.i_mmap = new
    elif parent.i_left == old:
        parent.i_left = new
    else:
        parent.i_right = new
    if new != NULL:
        new.i_parent = parent


cdef void rotate_up(address_space* a, vm_area_struct* v) noexcept nogil:
    """v takes its parent's place."""
    cdef vm_area_struct* p = v.i_parent
    replace_child(a, p.i_parent, p, v)
    if p.i_left == v:
        p.i_left = v.i_right
        if v.i_right != NULL:
            v.i_right.i_parent = p
        v.i_right = p
    else:
        p.i_right = v.i_left
        if v.i_left != NULL:
            v.i_left.i_parent = p
        v.i_left = p
    p.i_parent = v
    update(a, p)
    update(a, v)


cdef inline uint32_t heap_priority(uint64_t seq) noexcept nogil:
    """splitmix64's finaliser: the tree's shape depends on nothing but the order of insertion."""
    seq = (seq ^ (seq >> 30)) * <uint64_t>0xbf58476d1ce4e5b9
    seq = (seq ^ (seq >> 27)) * <uint64_t>0x94d049bb133111eb
    return <uint32_t>(seq >> 32)


cdef void vma_prio_tree_insert(address_space* a, vm_area_struct* vma) noexcept nogil:
    cdef vm_area_struct* p = a.i_mmap
    a.i_mmap_seq += 1
    vma.i_seq = a.i_mmap_seq
    vma.i_prio = heap_priority(vma.i_seq)
    vma.i_left = NULL
    vma.i_right = NULL
    vma.i_parent = NULL
    if p == NULL:
        a.i_mmap = vma
        update(a, vma)
        return
    while True:
        if before(vma, p):
            if p.i_left == NULL:
                p.i_left = vma
                break
            p = p.i_left
        else:
            if p.i_right == NULL:
                p.i_right = vma
                break
            p = p.i_right
    vma.i_parent = p
    update_upwards(a, vma)
    while vma.i_parent != NULL and vma.i_parent.i_prio < vma.i_prio:
        rotate_up(a, vma)


cdef void vma_prio_tree_remove(address_space* a, vm_area_struct* vma) noexcept nogil:
    cdef vm_area_struct* child
    cdef vm_area_struct* parent
    while vma.i_left != NULL and vma.i_right != NULL:
        rotate_up(a, vma.i_left if vma.i_left.i_prio > vma.i_right.i_prio else vma.i_right)
    child = vma.i_left if vma.i_left != NULL else vma.i_right
    parent = vma.i_parent
    replace_child(a, parent, vma, child)
    update_upwards(a, parent)
    vma.i_left = NULL
    vma.i_right = NULL
    vma.i_parent = NULL


# ---------------------------------------------------------------- walking
cdef vm_area_struct* first_in(const address_space* a, vm_area_struct* v, uint64_t first, uint64_t last) noexcept nogil:
    """The first VMA of the subtree in order that covers any of [first, last], or NULL."""
    while v != NULL and v.i_last >= first:
        if v.i_left != NULL and v.i_left.i_last >= first:
            # if the left subtree reaches `first` but starts beyond `last`, so does all that follows
            v = v.i_left
            continue
        if v.vm_pgoff > last:
            return NULL
        if last_page(a, v) >= first:
            return v
        v = v.i_right
    return NULL


cdef vm_area_struct* vma_prio_tree_first(address_space* a, uint64_t first, uint64_t last) noexcept nogil:
    return first_in(a, a.i_mmap, first, last)


cdef vm_area_struct* vma_prio_tree_next(address_space* a, vm_area_struct* vma, uint64_t first, uint64_t last) noexcept nogil:
    cdef vm_area_struct* found = first_in(a, vma.i_right, first, last)
    cdef vm_area_struct* child
    if found != NULL:
        return found
    while True:
        child = vma
        vma = vma.i_parent
        if vma == NULL:
            return NULL
        if vma.i_right == child:
            continue
        if vma.vm_pgoff > last:
            return NULL
        if last_page(a, vma) >= first:
            return vma
        found = first_in(a, vma.i_right, first, last)
        if found != NULL:
            return found


# ---------------------------------------------------------------- nonlinear VMAs
cdef void vma_nonlinear_add(address_space* a, vm_area_struct* vma, vm_area_struct* parent) noexcept nogil:
    """Right behind the parent (list_add), or at the end where there is none."""
    cdef vm_area_struct* prev = parent if parent != NULL else a.i_mmap_nonlinear_tail
    vma.nl_prev = prev
    vma.nl_next = prev.nl_next if prev != NULL else a.i_mmap_nonlinear
    if prev != NULL:
        prev.nl_next = vma
    else:
        a.i_mmap_nonlinear = vma
    if vma.nl_next != NULL:
        vma.nl_next.nl_prev = vma
    else:
        a.i_mmap_nonlinear_tail = vma


cdef void vma_nonlinear_insert(address_space* a, vm_area_struct* vma) noexcept nogil:
    vma_nonlinear_add(a, vma, NULL)


cdef void vma_nonlinear_remove(address_space* a, vm_area_struct* vma) noexcept nogil:
    if vma.nl_prev != NULL:
        vma.nl_prev.nl_next = vma.nl_next
    else:
        a.i_mmap_nonlinear = vma.nl_next
    if vma.nl_next != NULL:
        vma.nl_next.nl_prev = vma.nl_prev
    else:
        a.i_mmap_nonlinear_tail = vma.nl_prev
    vma.nl_next = NULL
    vma.nl_prev = NULL
