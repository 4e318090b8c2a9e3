# SPDX-License-Identifier: GPL-2.0-only
"""Replay of traces, reclaim policies, sweeps."""
