# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# m.lab.state(): what the reverse map reads and changes, as plain data that can be had and compared thousands of times a second.
# Kernel: none. Beside m.dump(): flags are numbers, entries are shared Pte objects without their raw bits, tail pages are summed up.
from libc.stdint cimport uint32_t, uint64_t
from rmapemu.machine.dump cimport i_mmap_of, lru_of, mmlist_of, nonlinear_of
from rmapemu.machine.machine cimport Machine
from rmapemu.machine.objects cimport anon_vmas_of, stable_nodes_of
from rmapemu.machine.pte cimport decode_pte
from rmapemu.machine.tables cimport walk_tables
from rmapemu.mm.compound cimport compound_order
from rmapemu.mm.kmem cimport kmem_live
from rmapemu.mm.swapfile cimport swap_count
from rmapemu.mm.types cimport *


cdef dict DECODED = {}          # (arch, level) -> entry -> Pte: the same few entries come again and again


cdef object mapping_of(machine* m, const page* p):
    """(kind, number) of the owner; None: none."""
    if p.mapping == 0:
        return None
    if PageKsm(p):
        return "ksm", (<stable_node*>m.kmem[KMEM_STABLE_NODE].base)[p.mapping >> PAGE_MAPPING_SHIFT].serial
    if PageAnon(p):
        return "anon_vma", page_anon_vma(m, p).serial if page_anon_vma(m, p) != NULL else 0
    return "file", page_file_mapping(m, p).ino


cdef object tails_of(machine* m, uint32_t pfn):
    """Of a head's tail pages: flags that any has, flags that all have, sums of mapcount, count and private."""
    cdef uint32_t i, n = <uint32_t>1 << compound_order(m, pfn), some = 0, every = 0xffffffff
    cdef uint64_t private = 0
    cdef int64_t mapcount = 0, count = 0
    for i in range(1, n):
        some |= m.pages[pfn + i].flags
        every &= m.pages[pfn + i].flags
        mapcount += m.pages[pfn + i].mapcount
        count += m.pages[pfn + i].count
        private += m.pages[pfn + i].private
    return some, every, mapcount, count, private


cdef dict page_of(machine* m, uint32_t pfn):
    cdef page* p = &m.pages[pfn]
    one = {"flags": p.flags, "mapcount": p.mapcount, "count": p.count, "mapping": mapping_of(m, p), "index": p.index,
           "private": m.pages[pfn].private,
           "memcg": (m.page_cgroup[pfn] >> PCG_GROUP_SHIFT, m.page_cgroup[pfn] & ((1 << PCG_GROUP_SHIFT) - 1))}
    if m.hw.skey != NULL:
        one["key"] = m.hw.skey[pfn]
    if p.flags & PG_head:
        one["tails"] = tails_of(m, pfn)
    return one


cdef int add_entry(void* ctx, machine* m, mm_struct* mm, uint64_t va, int level, uint64_t e) noexcept nogil:
    with gil:
        decoded = (<tuple>ctx)[level]
        pte = decoded.get(e)
        if pte is None:
            # a huge entry's other address bits are what a small one's are
            pte = decode_pte(m.hw.fmt, e)._replace(raw=0)
            decoded[e] = pte
        (<tuple>ctx)[2][va] = pte
    return 0


cdef int add_table(void* ctx, machine* m, mm_struct* mm, uint64_t va, int level, uint64_t pa) noexcept nogil:
    with gil:
        if level <= 1:
            (<set>(<tuple>ctx)[3]).add((level, va))
        if level == 0 and m.pages[pa >> m.page_shift].private == LOCK_OTHER:
            (<dict>(<tuple>ctx)[4])[va] = pa >> m.page_shift
    return 0


cdef dict mm_of(Machine machine, mm_struct* mm, tuple decoded):
    entries, tables, locked = {}, set(), {}
    found = (decoded[0], decoded[1], entries, tables, locked)
    walk_tables(machine.m, mm, add_entry, add_table, <void*>found)
    return {
        "rss": [mm.rss_stat[0], mm.rss_stat[1], mm.rss_stat[2]], "hiwater_rss": mm.hiwater_rss, "locked_vm": mm.locked_vm,
        "mmap_sem": mm.mmap_sem, "mmap_sem_other": mm.mmap_sem_other, "page_table_lock": mm.page_table_lock,
        "page_table_lock_other": mm.page_table_lock_other, "pte_locks_other": locked, "memcg": mm.memcg,
        "notifiers": [operations for _, operations in machine.notifiers.get(mm.pid, ())],
        "vmas": [mm.vmas[i].serial for i in range(mm.map_count)], "entries": entries, "tables": tables,
    }


cdef dict vma_of(vm_area_struct* v):
    cdef anon_vma_chain* avc = v.avc_head
    chain = []
    while avc != NULL:
        chain.append(avc.anon_vma.serial)
        avc = avc.same_vma_next
    return {
        "pid": v.vm_mm.pid, "start": v.vm_start, "end": v.vm_end, "pgoff": v.vm_pgoff, "flags": v.vm_flags,
        "file": v.vm_file.ino if v.vm_file != NULL else 0, "anon_vma": v.anon_vma.serial if v.anon_vma != NULL else 0, "chain": chain,
        "cursor": v.vm_private_data,
    }


cdef dict files_of(machine* m):
    cdef address_space* a = <address_space*>m.kmem[KMEM_MAPPING].base
    cdef uint64_t i
    return {i: {"shmem": a[i].kind == FILE_SHMEM, "nrpages": a[i].nrpages, "lock": a[i].i_mmap_lock, "i_mmap": i_mmap_of(&a[i]),
                "i_mmap_nonlinear": nonlinear_of(&a[i])}
            for i in range(1, m.kmem[KMEM_MAPPING].used_bytes // sizeof(address_space)) if a[i].refs}


cdef dict slots_of(machine* m):
    """(type, offset) -> [users, pfn in the swap cache or 0] of the slots in use."""
    cdef swap_info_struct* si
    cdef uint32_t i
    slots = {}
    for t in range(<int>m.nr_swapfiles):
        si = &m.swap_info[<int>t]
        for i in range(1, si.max):
            if si.swap_map[i]:
                slots[t, i] = [swap_count(m, <uint64_t>si.type << 58 | i), si.cache[i] if si.swap_map[i] & SWAP_HAS_CACHE else 0]
    return slots


cdef dict groups_of(machine* m):
    cdef mem_cgroup* g
    cdef uint32_t i
    groups = {}
    for i in range(<uint32_t>NR_MEMCG):
        g = &m.memcg[i]
        if g.usage or g.file_mapped or g.pgpgin:
            groups[i] = {"usage": g.usage, "cache": g.cache, "rss": g.rss, "file_mapped": g.file_mapped, "pgpgin": g.pgpgin,
                         "pgpgout": g.pgpgout}
    return groups


def rmap_state(Machine machine not None):
    """Fresh containers throughout, so that a caller may change what it got."""
    cdef mm_struct* mm
    cdef uint32_t pfn, i
    machine.readable()
    m = machine.m
    if machine.arch not in DECODED:
        DECODED[machine.arch] = ({}, {})
    decoded = DECODED[machine.arch]
    mms, vmas = {}, {}
    for pid in machine.tasks:
        mm = machine.mm_of(pid)
        mms[pid] = mm_of(machine, mm, decoded)
        for i in range(mm.map_count):
            vmas[mm.vmas[i].serial] = vma_of(mm.vmas[i])
    costs = machine.cost.as_dict()
    # levels walked are the hardware's affair
    del costs["table_levels"]
    return {
        "pages": {pfn: page_of(m, pfn) for pfn in range(2, m.zones[m.nr_zones - 1].never_used_pfn)
                  if m.pages[pfn].count != 0 and not m.pages[pfn].flags & (PG_table | PG_tail | PG_buddy | PG_reserved)},
        "lists": [lru_of(m, &m.zones[0], i) for i in range(<uint32_t>NR_LRU_LISTS)],
        "mms": mms, "vmas": vmas, "anon_vmas": anon_vmas_of(m), "files": files_of(m), "nodes": stable_nodes_of(m), "slots": slots_of(m),
        "groups": groups_of(m),
        "mmlist": mmlist_of(m), "current": m.current.pid if m.current != NULL else 0,
        "swap_token": m.swap_token_mm.pid if m.swap_token_mm != NULL else 0,
        "held_other": m.other_mask, "held": m.held_mask, "warnings": m.warnings, "dead": m.dead,
        "allocated": [m.kmem[i].allocated for i in range(<uint32_t>KMEM_SWAP_COUNT)],
        "live": [kmem_live(&m.kmem[i]) for i in range(<uint32_t>KMEM_SWAP_COUNT)],
        "fail": [m.fail.nth, m.fail.count, m.fail.kind_mask, m.fail.gfp_mask, m.fail.failed],
        "cost": costs, "vmstat": machine.vmstat,
    }
