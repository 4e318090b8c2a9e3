# SPDX-License-Identifier: GPL-2.0-only
"""The public face: Machine and the handles that it gives out."""

from rmapemu.machine.enums import TTU, MapFlag, PageFlag, Prot, Swap, VmFlag
from rmapemu.machine.machine import Machine

__all__ = ["TTU", "Machine", "MapFlag", "PageFlag", "Prot", "Swap", "VmFlag"]
