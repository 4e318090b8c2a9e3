# SPDX-License-Identifier: GPL-2.0-only
"""vma_address to page_mapped_in_vma of mm/rmap.c: where a page is expected, and whether it is there."""
from __future__ import annotations

from rmapemu.machine.pte import Pte

from .rmap_link import Link
from .rmap_lock import Dict
from .rmap_state import HEAD, PAGE, VM_GROWSDOWN, VM_HUGETLB, VM_NONLINEAR, VM_RAND_READ, VM_SEQ_READ


class Where(Link):
    def vma_address(self, pfn: int, serial: int) -> int | None:
        return self.address(self.pages[pfn], self.vmas[serial])

    def address(self, p: Dict, v: Dict) -> int | None:
        pgoff = p["index"]
        if v["flags"] & VM_HUGETLB and self.config["hugetlb_page"]:
            # the index counts huge pages; page_hstate() knows only those
            self.bug(not p["flags"] & HEAD, "size_to_hstate() is NULL", "huge_page_order")
            pgoff <<= self.shift - 12
        va = v["start"] + (pgoff - v["pgoff"]) * PAGE
        return va if v["start"] <= va < v["end"] else None

    def linear(self, v: Dict, va: int) -> int:
        """linear_page_index; of an address before the VMA too, which is far behind it in unsigned arithmetic."""
        offset = (va - v["start"]) & (1 << 64) - 1
        if v["flags"] & VM_HUGETLB and self.config["hugetlb_page"]:
            return (offset >> self.shift) + (v["pgoff"] >> self.shift - 12)
        return offset // PAGE + v["pgoff"]

    def page_address_in_vma(self, pfn: int, serial: int) -> int | None:
        p, v = self.pages[pfn], self.vmas[serial]
        if self.anon(p):
            mine = self.page_av(p)
            if not v["anon_vma"] or not mine or self.av(v["anon_vma"])["root"] != self.av(mine)["root"]:
                return None
        elif p["mapping"] is None or v["flags"] & VM_NONLINEAR or not v["file"] or v["file"] != p["mapping"][1]:
            return None
        return self.address(p, v)

    def check_address(self, pfn: int, mm: Dict, va: int, sync: bool) -> Pte | None:
        """__page_check_address: the entry, its lock taken."""
        if self.huge(self.pages[pfn]):
            there = self.has_middle(mm, va)
            self.ptl(mm)
            self.bug(not there, "huge_pte_offset() is NULL", "__page_check_address")
            va = va >> self.shift << self.shift
            e = Pte("none", 0) if self.has_table(mm, va) else self.entry(mm, va)
            self.cost["ptes_examined"] += 1
        else:
            if not self.has_table(mm, va):
                return None
            self.cost["ptes_examined"] += 1
            if self.entry(mm, va).kind != "present" and not sync:
                return None
            self.ptl(mm, va)
            e = self.entry(mm, va)
        match = e.kind == "present" and e.pfn == pfn
        self.cost["ptes_matched"] += match
        if not match:
            self.ptl_unlock(mm)
            return None
        return e

    def page_check_address(self, pfn: int, pid: int, va: int, sync: bool) -> Pte | None:
        e = self.check_address(pfn, self.mms[pid], va, sync)
        if e is not None:
            self.ptl_unlock(self.mms[pid])
        return e

    def check_address_pmd(self, pfn: int, mm: Dict, va: int, flag: str) -> Pte | None:
        """page_check_address_pmd of mm/huge_memory.c; an entry that is being split has the special bit."""
        if va & ((1 << self.shift) - 1) or not self.has_middle(mm, va):
            return None
        self.cost["ptes_examined"] += 1
        e = self.entry(mm, va)
        if self.has_table(mm, va) or e.kind != "present" or e.pfn != pfn:
            return None
        if flag == "notsplitting" and e.special:
            return None
        self.vm_bug(flag == "splitting" and not e.special,
                    "flag == PAGE_CHECK_ADDRESS_PMD_SPLITTING_FLAG && !pmd_trans_splitting(*pmd)", "page_check_address_pmd")
        self.cost["ptes_matched"] += 1
        return e

    def page_check_address_pmd(self, pfn: int, pid: int, va: int, flag: str) -> bool:
        self.ptl(self.mms[pid])
        e = self.check_address_pmd(pfn, self.mms[pid], va, flag)
        self.ptl_unlock(self.mms[pid])
        return e is not None

    def page_mapped_in_vma(self, pfn: int, serial: int) -> bool:
        v = self.vmas[serial]
        va = self.address(self.pages[pfn], v)
        if va is None or self.check_address(pfn, self.mm(v), va, True) is None:
            return False
        self.ptl_unlock(self.mm(v))
        return True

    def temporary_stack(self, v: Dict) -> bool:
        return v["flags"] & (VM_GROWSDOWN | VM_SEQ_READ | VM_RAND_READ) == VM_GROWSDOWN | VM_SEQ_READ | VM_RAND_READ

    def is_vma_temporary_stack(self, serial: int) -> bool:
        return self.temporary_stack(self.vmas[serial])
