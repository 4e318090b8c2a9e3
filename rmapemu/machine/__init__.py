# SPDX-License-Identifier: GPL-2.0-only
"""The public face: Machine, Process, Vma, File, Page and the workbench, thin over ``rmapemu.mm``."""
