# SPDX-License-Identifier: GPL-2.0-only
ZONE_STAT_NAMES: tuple[str, ...]
VM_EVENT_NAMES: tuple[str, ...]
LOCK_NAMES: tuple[str, ...]
COST_NAMES: tuple[str, ...]
