# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# SPDX-License-Identifier: GPL-2.0-only
# Machine.dump(): everything that is state, as dicts, lists, ints and text; and its digest. Kernel: none.
# No host address is in it: objects are named by pid, serial number, inode number and frame number.
import hashlib
import json

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from rmapemu.hw.ops cimport tlb_entry
from rmapemu.machine.machine cimport Machine
from rmapemu.machine.objects cimport anon_vmas_of, stable_nodes_of
from rmapemu.machine.pte cimport decode_pte
from rmapemu.machine.tables cimport walk_tables
from rmapemu.mm.kmem cimport kmem_live
from rmapemu.mm.prio_tree cimport vma_prio_tree_first, vma_prio_tree_next
from rmapemu.mm.radix_tree cimport radix_tree_next
from rmapemu.mm.swapfile cimport swap_count
from rmapemu.mm.types cimport *

from rmapemu.machine.enums import page_flag_names, vm_flag_names
from rmapemu.machine.names import LRU


def dump_machine(Machine machine not None):
    """The whole state. Keys: machine, pages, lists, free, processes, anon_vmas, files, stable_nodes, swap, memcg, vmstat, cost."""
    machine.readable()
    m = machine.m
    return {
        "machine": _machine(machine),
        "pages": {pfn: _page(m, pfn) for pfn in range(1, m.nr_frames) if _in_use(m, pfn)},
        "lists": [{name: lru_of(m, &m.zones[z], i) for i, name in enumerate(LRU)} for z in range(<int>m.nr_zones)],
        "free": [_free(m, &m.zones[z]) for z in range(<int>m.nr_zones)],
        "processes": {pid: _process(machine, pid) for pid in sorted(machine.tasks)},
        "anon_vmas": anon_vmas_of(m),
        "files": _files(machine),
        "stable_nodes": stable_nodes_of(m),
        "swap": [_area(m, &m.swap_info[t]) for t in range(<int>m.nr_swapfiles)],
        "memcg": {i: _group(&m.memcg[i]) for i in range(NR_MEMCG) if m.memcg[i].pgpgin or m.memcg[i].usage or m.memcg[i].file_mapped},
        "vmstat": machine.vmstat,
        "cost": machine.cost.as_dict(),
    }


def digest_machine(Machine machine not None):
    """blake2b (32 hex digits) over the dump as JSON with sorted keys, and over the bytes of all page tables."""
    cdef uint32_t pfn
    cdef uint64_t frame
    text = json.dumps(dump_machine(machine), sort_keys=True, separators=(",", ":"))
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    frame = <uint64_t>1 << machine.m.page_shift
    for pfn in range(1, machine.m.nr_frames):
        if machine.m.pages[pfn].flags & PG_table:
            digest.update((<uint8_t*>machine.m.hw.base + pfn * frame)[:frame])
    return digest.hexdigest()


cdef object _machine(Machine machine):
    m = machine.m
    return {
        "arch": machine.arch, "reclaim": machine.reclaim, "rmap": machine.rmap_design, "keys": machine.keys, "page_size": 1 << m.page_shift,
        "nr_frames": m.nr_frames, "user_frames_max": m.user_frames_max, "user_frames": m.user_frames, "dead": bool(m.dead),
        "warnings": m.warnings, "clock": m.clock, "committed_as": m.committed_as, "nr_swap_pages": m.nr_swap_pages,
        "held_other": m.other_mask,
        "current": m.current.pid if m.current != NULL else 0, "mmlist": mmlist_of(m),
        "swap_token": m.swap_token_mm.pid if m.swap_token_mm != NULL else 0,
        "watermarks": [[m.zones[z].watermark[i] for i in range(3)] for z in range(<int>m.nr_zones)],
        "reclaim_stat": [[[m.zones[z].reclaim_stat.recent_rotated[i], m.zones[z].reclaim_stat.recent_scanned[i]] for i in range(2)]
                         for z in range(<int>m.nr_zones)],
        "live": [kmem_live(&m.kmem[i]) for i in range(KMEM_SWAP_COUNT)],
        "config": machine.config, "sysctl": {name: machine.sysctl[name] for name in machine.sysctl},
    }


cdef object mmlist_of(machine* m):
    cdef mm_struct* mm = m.mmlist_head
    pids = []
    while mm != NULL and len(pids) <= m.nr_mms:
        pids.append(mm.pid)
        mm = mm.mmlist_next
    return pids


cdef bint _in_use(machine* m, uint32_t pfn) noexcept:
    """Not free, and not a hole."""
    cdef zone* z = page_zone(m, pfn)
    return pfn < z.never_used_pfn and (m.pages[pfn].count > 0 or m.pages[pfn].flags & PG_tail)


cdef object mapping_name(machine* m, const page* p):
    """The owner of page.mapping as text, or None."""
    if p.mapping == 0:
        return None
    if PageKsm(p):
        node = (<stable_node*>m.kmem[KMEM_STABLE_NODE].base)[p.mapping >> PAGE_MAPPING_SHIFT].serial
        return f"stable_node {node}" if node else "ksm"
    if PageAnon(p):
        return f"anon_vma {page_anon_vma(m, p).serial if page_anon_vma(m, p) != NULL else 0}"
    return f"file {page_file_mapping(m, p).ino}"


cdef object _page(machine* m, uint32_t pfn):
    cdef page* p = &m.pages[pfn]
    one = {
        "flags": list(page_flag_names(p.flags)), "mapcount": p.mapcount, "count": p.count, "mapping": mapping_name(m, p), "index": p.index,
        "private": m.pages[pfn].private, "token": m.token[pfn],
    }
    if m.hw.skey != NULL:
        one["key"] = m.hw.skey[pfn]
    if m.page_cgroup[pfn]:
        one["memcg"] = [m.page_cgroup[pfn] >> PCG_GROUP_SHIFT, m.page_cgroup[pfn] & ((1 << PCG_GROUP_SHIFT) - 1)]
    return one


cdef object _group(mem_cgroup* g):
    return {"usage": g.usage, "cache": g.cache, "rss": g.rss, "file_mapped": g.file_mapped, "pgpgin": g.pgpgin, "pgpgout": g.pgpgout}


cdef object lru_of(machine* m, zone* z, int lru):
    cdef uint32_t head = z.lru[lru], pfn = m.lru[head].next
    pages = []
    while pfn != head and len(pages) < m.nr_frames:       # by hand, a list can be bent into no ring
        pages.append(pfn)
        pfn = m.lru[pfn].next
    return pages


cdef object _free(machine* m, zone* z):
    cdef int order, mt
    cdef uint32_t pfn, left
    blocks = {"never_used": z.never_used_pfn}
    for order in range(MAX_ORDER):
        for mt in range(MIGRATE_TYPES):
            pfn = z.free[order].head[mt]
            left = m.nr_frames
            while pfn and left:
                left -= 1
                blocks.setdefault(f"order {order} type {mt}", []).append(pfn)
                pfn = m.lru[pfn].next
    return blocks


# ---------------------------------------------------------------- processes
cdef int add_entry(void* ctx, machine* m, mm_struct* mm, uint64_t va, int level, uint64_t e) noexcept nogil:
    with gil:
        entries, huge = <tuple>ctx
        if level == 0:
            entries[va] = _entry(m, e)
        else:
            huge[va] = [level, e]
    return 0


cdef int add_table(void* ctx, machine* m, mm_struct* mm, uint64_t va, int level, uint64_t pa) noexcept nogil:
    with gil:
        (<list>ctx).append([level, va, pa])
    return 0


cdef object _entry(machine* m, uint64_t e):
    """A decoded entry without the fields that are 0."""
    pte = decode_pte(m.hw.fmt, e)
    return {name: value for name, value in zip(pte._fields, pte) if value}


cdef object _process(Machine machine, uint32_t pid):
    cdef mm_struct* mm = machine.mm_of(pid)
    cdef uint32_t i
    entries, huge, tables = {}, {}, []
    found = (entries, huge)
    walk_tables(machine.m, mm, add_entry, NULL, <void*>found)
    walk_tables(machine.m, mm, NULL, add_table, <void*>tables)
    return {
        "name": machine.tasks[pid][1], "parent": machine.tasks[pid][2],
        "root": mm.hw.root, "levels": mm.hw.levels, "nr_ptes": mm.hw.nr_ptes,
        "rss": [mm.rss_stat[i] for i in range(<uint32_t>NR_MM_COUNTERS)], "hiwater_rss": mm.hiwater_rss, "hiwater_vm": mm.hiwater_vm,
        "total_vm": mm.total_vm, "shared_vm": mm.shared_vm, "exec_vm": mm.exec_vm, "stack_vm": mm.stack_vm, "locked_vm": mm.locked_vm,
        "start_brk": mm.start_brk, "brk": mm.brk, "start_stack": mm.start_stack, "mmap_base": mm.mmap_base, "def_flags": mm.def_flags,
        "free_area_cache": mm.free_area_cache, "cached_hole_size": mm.cached_hole_size, "maj_flt": mm.maj_flt, "min_flt": mm.min_flt,
        "mmap_sem": mm.mmap_sem, "mmap_sem_other": mm.mmap_sem_other, "page_table_lock_other": mm.page_table_lock_other,
        "memcg": mm.memcg, "notifiers": mm.notifiers,
        "mmap_cache": mm.mmap_cache.serial if mm.mmap_cache != NULL else 0,
        "vmas": [_vma(mm.vmas[i]) for i in range(mm.map_count)],
        "entries": entries, "huge": huge, "tables": tables, "tlb": _tlb(machine.m, mm),
    }


cdef object _vma(vm_area_struct* v):
    cdef anon_vma_chain* avc = v.avc_head
    chain = []
    while avc != NULL:
        chain.append(avc.anon_vma.serial)
        avc = avc.same_vma_next
    return {
        "serial": v.serial, "start": v.vm_start, "end": v.vm_end, "pgoff": v.vm_pgoff, "flags": list(vm_flag_names(v.vm_flags)),
        "file": v.vm_file.ino if v.vm_file != NULL else 0, "anon_vma": v.anon_vma.serial if v.anon_vma != NULL else 0, "chain": chain,
        "page_prot": v.vm_page_prot, "private_data": v.vm_private_data,
    }


cdef object _tlb(machine* m, mm_struct* mm):
    cdef uint32_t i, n = <uint32_t>m.hw.fmt.tlb_ways << m.hw.fmt.tlb_sets_lg2
    cdef tlb_entry* t = mm.hw.tlb
    if t == NULL:
        return {}
    return {i: [t[i].tag[0], t[i].tag[1], mm.hw.tlb_pfn[i]] for i in range(n) if t[i].tag[0] != <uint64_t>-1 or t[i].tag[1] != <uint64_t>-1}


# ---------------------------------------------------------------- anon_vmas, files, swap
cdef object _files(Machine machine):
    cdef address_space* a = <address_space*>machine.m.kmem[KMEM_MAPPING].base
    cdef uint64_t i
    m = machine.m
    found = {}
    for i in range(1, m.kmem[KMEM_MAPPING].used_bytes // sizeof(address_space)):
        if a[i].refs:
            found[i] = {
                "name": machine.file_names.get(i, (0, None))[1], "kind": "shmem" if a[i].kind == FILE_SHMEM else "regular",
                "size": a[i].i_size, "nrpages": a[i].nrpages,
                "swapped": a[i].swapped, "refs": a[i].refs, "i_mmap_writable": a[i].i_mmap_writable,
                "pages": _tree(m, &a[i]), "i_mmap": i_mmap_of(&a[i]), "i_mmap_nonlinear": nonlinear_of(&a[i]),
            }
    return found


cdef object _tree(machine* m, address_space* a):
    """index -> pfn, or [type, offset] of a swap slot."""
    cdef uint64_t index = 0, slot = radix_tree_next(m, a, &index)
    found = {}
    while slot:
        found[index] = [slot >> 28, (slot >> 1) & 0x7ffffff] if slot & 1 else slot >> 1
        if index == <uint64_t>-1:
            break
        index += 1
        slot = radix_tree_next(m, a, &index)
    return found


cdef object i_mmap_of(address_space* a):
    cdef vm_area_struct* v = vma_prio_tree_first(a, 0, <uint64_t>-1)
    serials = []
    while v != NULL:
        serials.append(v.serial)
        v = vma_prio_tree_next(a, v, 0, <uint64_t>-1)
    return serials


cdef object nonlinear_of(address_space* a):
    cdef vm_area_struct* v = a.i_mmap_nonlinear
    serials = []
    while v != NULL:
        serials.append(v.serial)
        v = v.nl_next
    return serials


cdef object _area(machine* m, swap_info_struct* si):
    """The slots in use: offset -> [users, pfn in the swap cache or 0, token]."""
    cdef uint32_t i
    slots = {}
    for i in range(1, si.max):
        if si.swap_map[i]:
            users = swap_count(m, <uint64_t>si.type << 58 | i)
            slots[i] = [users, si.cache[i] if si.swap_map[i] & SWAP_HAS_CACHE else 0, si.token[i]]
    return {"max": si.max, "inuse_pages": si.inuse_pages, "prio": si.prio, "lowest_bit": si.lowest_bit, "highest_bit": si.highest_bit,
            "cluster_next": si.cluster_next, "cluster_nr": si.cluster_nr, "slots": slots}
