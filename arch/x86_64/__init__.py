# SPDX-License-Identifier: GPL-2.0-only
"""x86-64: long-mode paging with four levels."""
