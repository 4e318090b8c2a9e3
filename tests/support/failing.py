# SPDX-License-Identifier: GPL-2.0-only
"""Calls whose allocations fail, one after the other."""

import errno


def every_allocation(m, call, check, kinds=None):
    """Makes ``call()`` with all allocations failing from the first on, from the second on, ... until it succeeds.

    After each failure, which must be ENOMEM, ``m.check()`` and ``check()`` must hold. Returns how often it failed.
    ``kinds`` names what may fail; an anon_vma_chain is asked for a second time, so that failing once would not do.
    """
    failed = 0
    while True:
        m.lab.fail_alloc(failed + 1, 1000, kinds)
        try:
            call()
        except OSError as error:
            if error.errno != errno.ENOMEM:
                raise
        else:
            return failed
        finally:
            m.lab.fail_alloc(0)
        failed += 1
        m.check()
        check()
