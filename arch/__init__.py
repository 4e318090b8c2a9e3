# SPDX-License-Identifier: GPL-2.0-only
"""The hardware, a folder each; import one as ``rmapemu.arch.<name>``."""

if __name__ != "rmapemu.arch":
    raise ImportError(f"this folder is the package 'rmapemu.arch', not {__name__!r}")
