# SPDX-License-Identifier: GPL-2.0-only
"""x86-64: long-mode paging with four levels."""


def __getattr__(name: str) -> object:
    if name == "ARCH":          # the compiled part is loaded when it is first asked for
        from rmapemu.arch.x86_64.backend import ARCH
        return ARCH
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
