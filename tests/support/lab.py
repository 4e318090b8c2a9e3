# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of the workbench build with: pages mapped as the kernel would have mapped them, and where."""

from rmapemu import VmFlag

START = 0x200000
"""Where their VMAs begin: a whole leaf table of either arch."""

RW = VmFlag.READ | VmFlag.WRITE
SHARED = RW | VmFlag.SHARED


def count_rss(m, mm, kind):
    m.lab.rss(mm, kind, m.lab.rss(mm, kind) + 1)


def map_anon(m, vma, address, page=None, **bits):
    """A new anonymous page, or one more mapping of `page`, at the address; young, dirty and writable unless said otherwise."""
    if page is None:
        page = m.lab.page()
        m.rmap.page_add_new_anon_rmap(page, vma, address)
    else:
        m.rmap.page_dup_rmap(page)
        m.lab.get_page(page)
    m.lab.set_pte(vma.process, address, page, **{"write": True, "young": True, "dirty": True, **bits})
    count_rss(m, vma.process, "anon")
    return page


def map_file(m, vma, index, page=None, *, address=None, **bits):
    """The file's page at the index, at its place in the VMA unless an address is given; old, clean and read-only unless said otherwise."""
    page = m.lab.file_page(vma.file, index) if page is None else page
    if address is None:
        address = vma.vm_start + (index - vma.vm_pgoff) * m.page_size
    m.rmap.page_add_file_rmap(page)
    m.lab.get_page(page)
    m.lab.set_pte(vma.process, address, page, **bits)
    count_rss(m, vma.process, "file")
    return page


def anon_vma(m, npages=4, flags=RW, mm=None, start=START):
    """A VMA of anonymous memory with an anon_vma."""
    vma = m.lab.vma(m.lab.mm() if mm is None else mm, start, npages, flags)
    m.rmap.anon_vma_prepare(vma)
    return vma


def forked(m, vma):
    """The VMA's copy in a new child, linked as fork links it."""
    child = m.lab.vma_dup(vma, m.lab.mm())
    m.rmap.anon_vma_fork(child, vma)
    return child


def lists(m):
    """{serial of an anon_vma: serials of its VMAs in order}."""
    return {serial: one["vmas"] for serial, one in m.dump()["anon_vmas"].items()}


def locked(m, page):
    """The page, PG_locked taken."""
    m.lab.lock_page(page)
    return page


def beside_its_index(m):
    """A locked, mapped huge page 1 of a file, and a hugetlb VMA before it: where the tree is asked for offset 1 it finds that VMA, for
    v3.2 asks in small pages, but the page's address lies behind it."""
    file, page = m.lab.file(4), m.lab.page("huge")
    vma = m.lab.vma(m.lab.mm(), START, 256, SHARED | VmFlag.HUGETLB, 0, file)
    m.lab.mapping(page, file)
    m.lab.index(page, 1)
    m.lab.mapcount(page, 1)
    return locked(m, page), vma
