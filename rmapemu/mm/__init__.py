# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel does: struct types and a module per mechanism, under the kernel's names."""
