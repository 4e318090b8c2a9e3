# SPDX-License-Identifier: GPL-2.0-only
"""s390: dynamic address translation, a storage key per frame."""


def __getattr__(name: str) -> object:
    if name == "ARCH":          # the compiled part is loaded when it is first asked for
        from rmapemu.arch.s390.backend import ARCH
        return ARCH
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
