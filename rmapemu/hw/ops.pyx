# SPDX-License-Identifier: GPL-2.0-only
# cython: language_level=3
# Models: what a Machine plugs in as its MMU: operations and the format that they were made for.
# Kernel equivalent: an arch's <asm/pgtable.h>, chosen at run time.
# Differs: subclasses fill `ops` and `format_` when they are made; nothing changes them later.


cdef class Backend:
    """An MMU: ``name``, ``capabilities`` (a frozenset of str) and its page-table format. Made by an arch, used by a Machine."""

    def __repr__(self):
        return f"<rmapemu arch {self.name!r}>"

    @property
    def page_shift(self):
        """lg2 of the page size in bytes."""
        return self.format_.page_shift

    @property
    def levels(self):
        """Levels of tables that a new address space has."""
        return self.format_.levels

    @property
    def format(self):
        """The page-table format as a `Format`: equal for equal hardware, and enough to make an interpreted twin."""
        from rmapemu.hw.convert import format_of
        return format_of(self)
