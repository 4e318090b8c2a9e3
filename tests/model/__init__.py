# SPDX-License-Identifier: GPL-2.0-only
"""A slow, obvious model of what processes see and of how anon_vmas are linked, written from v3.2's semantics.

It knows nothing of frames, tables or reclaim: an anonymous page is an object that some (mm, address) pairs share, so what it
says holds whatever is swapped out. Linking is exact: objects are numbered as they are allocated.
"""
