# SPDX-License-Identifier: GPL-2.0-only
"""What every MMU does: the format contract, the one walker, TLB, storage keys, the registry of archs."""
