# SPDX-License-Identifier: GPL-2.0-only
"""Batches of reclaim with a page among them that the short way was not made for: each goes as it goes alone, at the same cost."""

import pytest

from tests.support.plain import squeezed_both_ways


def nothing(m, init, page, va):
    yield
    assert init.pte_at(va).kind == "swap"


def of_an_empty_anon_vma(m, init, page, va):
    own, other = page.anon_vma, m.rmap.anon_vma_alloc()
    m.lab.mapping(page, other)
    yield
    m.lab.mapping(page, own)
    m.rmap.put_anon_vma(other)
    assert init.page_at(va) == page


def locked_by_another(m, init, page, va):
    m.lab.lock_page(page)
    yield
    m.lab.unlock_page(page)
    assert init.page_at(va) == page


def unmapped_already(m, init, page, va):
    m.lab.swapcache(page, 0, 5)
    m.lab.lock_page(page)
    m.rmap.try_to_unmap(page)
    m.lab.unlock_page(page)
    yield
    assert "swapcache" not in page.flags


def of_no_address_in_its_vma(m, init, page, va):
    index = page.index
    m.lab.index(page, 1)
    yield
    m.lab.index(page, index)
    assert init.page_at(va) == page


def with_the_next_of_no_address_either(m, init, page, va):
    pages = page, init.page_at(va + m.page_size)
    for one in pages:
        m.lab.index(one, one.index - 8)
    yield
    for one in pages:
        m.lab.index(one, one.index + 8)
    assert [init.page_at(va), init.page_at(va + m.page_size)] == list(pages)


def where_no_leaf_table_is(m, init, page, va):
    vma, index = page.mappers()[0].vma, page.index
    start, pages, pgoff = vma.vm_start, (vma.vm_end - vma.vm_start) // m.page_size, vma.vm_pgoff
    m.lab.vma_bounds(vma, start - 2048 * m.page_size, pages + 2048, pgoff - 2048)
    m.lab.index(page, pgoff - 1500)
    yield
    m.lab.index(page, index)
    m.lab.vma_bounds(vma, start, pages, pgoff)
    assert init.page_at(va) == page


def without_its_entry(m, init, page, va):
    m.lab.set_pte(init, va)
    yield
    m.lab.set_pte(init, va, page, write=True, dirty=True)


@pytest.mark.parametrize("odd", [
    nothing, of_an_empty_anon_vma, locked_by_another, unmapped_already, of_no_address_in_its_vma, with_the_next_of_no_address_either,
    where_no_leaf_table_is, without_its_entry])
def test_a_page_in_the_middle_of_a_batch_goes_as_it_goes_alone(arch, odd):
    short, general = squeezed_both_ways(arch, odd)
    assert short == general
