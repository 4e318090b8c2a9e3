# SPDX-License-Identifier: GPL-2.0-only
"""The porting kit: grades an arch."""
