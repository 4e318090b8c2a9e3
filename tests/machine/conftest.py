# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of the workbench begin with."""

import pytest

from rmapemu import VmFlag
from support.lab import START


@pytest.fixture
def lab(machine):
    return machine.lab


@pytest.fixture
def rmap(machine):
    return machine.rmap


@pytest.fixture
def anon(machine, lab):
    """(mm, vma of four pages, page mapped young and writable at its start)."""
    mm = lab.mm()
    vma = lab.vma(mm, START, 4)
    page = lab.page()
    machine.rmap.anon_vma_prepare(vma)
    machine.rmap.page_add_new_anon_rmap(page, vma, START)
    lab.set_pte(mm, START, page, write=True, young=True, dirty=True)
    lab.rss(mm, "anon", 1)
    return mm, vma, page


@pytest.fixture
def shared(machine, lab):
    """(mm, shared vma of a file's four pages, its page 1 mapped writable and dirty)."""
    mm, file = lab.mm(), lab.file(4)
    vma = lab.vma(mm, START, 4, VmFlag.READ | VmFlag.WRITE | VmFlag.SHARED, 0, file)
    page = lab.file_page(file, 1)
    machine.rmap.page_add_file_rmap(page)
    lab.get_page(page)
    lab.set_pte(mm, START + machine.page_size, page, write=True, young=True, dirty=True)
    lab.rss(mm, "file", 1)
    return mm, vma, page
