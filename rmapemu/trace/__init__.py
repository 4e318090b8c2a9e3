# SPDX-License-Identifier: GPL-2.0-only
"""Readers and writers of memory traces, named ``format:path``."""
