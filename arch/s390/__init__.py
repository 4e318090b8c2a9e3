# SPDX-License-Identifier: GPL-2.0-only
"""s390: dynamic address translation, a storage key per frame."""
