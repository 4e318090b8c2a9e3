# SPDX-License-Identifier: GPL-2.0-only
"""Constants of the tests of the workbench."""

START = 0x200000
"""Where their VMAs begin: a whole leaf table of either arch."""
