# SPDX-License-Identifier: GPL-2.0-only
"""A slow, obvious model of what processes see, of what they share, and of how anon_vmas are linked, from v3.2's semantics.

It knows nothing of frames, tables or reclaim: nothing ever leaves its memory. Entries, mapcounts and counters are therefore a
machine's where there is room; content, errors, VMAs, anon_vmas and who shares what, whatever is swapped out.
"""
